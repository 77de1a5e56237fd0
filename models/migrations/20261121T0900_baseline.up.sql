-- Baseline. Conventions: tenant tables carry tenant_id first in the primary key, in every UNIQUE and in every foreign key,
-- so a row cannot point across tenants and every table can be distributed by tenant_id. No triggers: generated columns,
-- constraints and application writes. Money is integer cents. Statuses are text with a CHECK.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- The role whose rights the service works under: neither owner nor BYPASSRLS. Roles belong to the whole server, so a
-- concurrent migration of another database may have made it between the check and the CREATE.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'autoshop_app') THEN
    CREATE ROLE autoshop_app NOLOGIN;
  END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- A login that owns the tables steps down to this role in each transaction, so it must be a member.
DO $$
BEGIN
  IF NOT pg_has_role(current_user, 'autoshop_app', 'MEMBER') THEN
    EXECUTE format('GRANT autoshop_app TO %I', current_user);
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'the migrating role is no member of autoshop_app: the service must log in as autoshop_app itself';
END $$;

-- A finished transaction leaves the setting as '' on its connection, not NULL.
CREATE FUNCTION current_tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('app.tenant_id', true), '')::uuid $$;

CREATE FUNCTION phone_digits(phone text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(regexp_replace(regexp_replace(phone, '\D', '', 'g'), '^1(\d{10})$', '\1'), '') $$;

CREATE FUNCTION plate_key(plate text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(regexp_replace(upper(plate), '[^A-Z0-9]', '', 'g'), '') $$;

-- Wire form of an instant: ISO 8601 in UTC with milliseconds and a single Z.
CREATE FUNCTION iso_utc(at timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- Wire form of an amount: dollars as a JSON number. Never used in arithmetic.
CREATE FUNCTION dollars(cents bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS $$ SELECT cents::float8 / 100 $$;

-- ---------------------------------------------------------------- outside row-level security: read before a tenant is known

CREATE TABLE tenants (
  id uuid CONSTRAINT tenants_pk PRIMARY KEY DEFAULT gen_random_uuid(),
  slug varchar(100) NOT NULL CONSTRAINT tenants_slug_key UNIQUE
    CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9][a-z0-9-]*[a-z0-9]$'),
  name varchar(255) NOT NULL,
  plan text NOT NULL DEFAULT 'starter' CONSTRAINT tenants_plan_check CHECK (plan IN ('starter', 'pro', 'enterprise', 'trial')),
  status text NOT NULL DEFAULT 'active' CONSTRAINT tenants_status_check CHECK (status IN ('active', 'suspended', 'cancelled', 'trial')),
  max_appointments integer NOT NULL DEFAULT 100,
  max_vehicles integer NOT NULL DEFAULT 50,
  max_customers integer NOT NULL DEFAULT 100,
  admin_email varchar(254),
  phone varchar(20),
  logo_url text,
  primary_color text CONSTRAINT tenants_primary_color_check CHECK (primary_color ~ '^#[0-9a-fA-F]{6}$'),
  timezone text NOT NULL DEFAULT 'America/Los_Angeles',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE staff_users (
  id text CONSTRAINT staff_users_pk PRIMARY KEY DEFAULT gen_random_uuid()::text,
  username varchar(150) NOT NULL,
  email varchar(254),
  name varchar(120) NOT NULL,
  password_hash text NOT NULL,
  is_active boolean NOT NULL DEFAULT true,
  failed_logins integer NOT NULL DEFAULT 0,
  locked_until timestamptz,
  default_tenant_id uuid CONSTRAINT staff_users_default_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX staff_users_username_key ON staff_users (lower(username));
CREATE UNIQUE INDEX staff_users_email_key ON staff_users (lower(email)) WHERE email IS NOT NULL;

CREATE TABLE staff_tenant_memberships (
  staff_id text NOT NULL CONSTRAINT staff_tenant_memberships_staff_id_fk REFERENCES staff_users (id) ON DELETE CASCADE,
  tenant_id uuid NOT NULL CONSTRAINT staff_tenant_memberships_tenant_id_fk REFERENCES tenants (id) ON DELETE CASCADE,
  role text NOT NULL DEFAULT 'Advisor'
    CONSTRAINT staff_tenant_memberships_role_check CHECK (role IN ('Owner', 'Advisor', 'Accountant', 'Technician')),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT staff_tenant_memberships_pk PRIMARY KEY (staff_id, tenant_id)
);
CREATE INDEX staff_tenant_memberships_tenant_id_idx ON staff_tenant_memberships (tenant_id);

CREATE TABLE sessions (
  sid uuid CONSTRAINT sessions_pk PRIMARY KEY,
  actor_type text NOT NULL CONSTRAINT sessions_actor_type_check CHECK (actor_type IN ('staff', 'customer')),
  actor_id text NOT NULL,
  tenant_id uuid NOT NULL CONSTRAINT sessions_tenant_id_fk REFERENCES tenants (id) ON DELETE CASCADE,
  ip inet,
  user_agent varchar(300),
  created_at timestamptz NOT NULL DEFAULT now(),
  last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL,
  revoked_at timestamptz
);
CREATE INDEX sessions_actor_idx ON sessions (actor_type, actor_id) WHERE revoked_at IS NULL;
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_tenant_id_idx ON sessions (tenant_id);

CREATE TABLE refresh_tokens (
  token_hash text CONSTRAINT refresh_tokens_pk PRIMARY KEY,
  sid uuid NOT NULL CONSTRAINT refresh_tokens_sid_fk REFERENCES sessions (sid) ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  rotated_at timestamptz,
  -- With the token itself it gives the successor, so that parallel requests within the grace get the same one.
  next_salt text,
  expires_at timestamptz NOT NULL
);
CREATE INDEX refresh_tokens_sid_idx ON refresh_tokens (sid);

CREATE TABLE password_resets (
  actor_type text NOT NULL CONSTRAINT password_resets_actor_type_check CHECK (actor_type IN ('staff', 'customer')),
  user_id text NOT NULL,
  token_hash text NOT NULL,
  tenant_id uuid NOT NULL CONSTRAINT password_resets_tenant_id_fk REFERENCES tenants (id) ON DELETE CASCADE,
  expires_at timestamptz NOT NULL DEFAULT now() + interval '1 hour',
  used_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT password_resets_pk PRIMARY KEY (actor_type, user_id, token_hash)
);
CREATE INDEX password_resets_expires_at_idx ON password_resets (expires_at);
CREATE INDEX password_resets_tenant_id_idx ON password_resets (tenant_id);

-- ---------------------------------------------------------------- tenant tables

CREATE TABLE tenant_settings (
  tenant_id uuid CONSTRAINT tenant_settings_pk PRIMARY KEY CONSTRAINT tenant_settings_tenant_id_fk REFERENCES tenants (id) ON DELETE CASCADE,
  tax_basis_points integer NOT NULL DEFAULT 0 CONSTRAINT tenant_settings_tax_basis_points_check CHECK (tax_basis_points BETWEEN 0 AND 10000),
  default_block_minutes integer NOT NULL DEFAULT 60 CONSTRAINT tenant_settings_default_block_minutes_check CHECK (default_block_minutes BETWEEN 5 AND 2880),
  advisor_can_edit_catalog boolean NOT NULL DEFAULT false,
  advisor_can_void boolean NOT NULL DEFAULT true,
  public_booking boolean NOT NULL DEFAULT false,
  public_catalog boolean NOT NULL DEFAULT false,
  quiet_from time NOT NULL DEFAULT '21:00',
  quiet_to time NOT NULL DEFAULT '08:00',
  updated_by text,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE customers (
  tenant_id uuid NOT NULL CONSTRAINT customers_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  name varchar(255) NOT NULL,
  email varchar(254) CONSTRAINT customers_email_check CHECK (email = lower(email)),
  phone varchar(20),
  phone_digits text GENERATED ALWAYS AS (phone_digits(phone)) STORED,
  address varchar(500),
  address_line1 varchar(255),
  address_line2 varchar(255),
  city varchar(120),
  state varchar(60),
  zip_code varchar(20),
  is_vip boolean NOT NULL DEFAULT false,
  tags jsonb NOT NULL DEFAULT '[]' CONSTRAINT customers_tags_check CHECK (jsonb_typeof(tags) = 'array'),
  notes varchar(1000),
  preferred_contact_method text NOT NULL DEFAULT 'phone'
    CONSTRAINT customers_preferred_contact_method_check CHECK (preferred_contact_method IN ('phone', 'email', 'sms')),
  preferred_contact_time varchar(50),
  customer_since date,
  sms_consent boolean NOT NULL DEFAULT false,
  sms_consent_date timestamptz,
  sms_consent_ip inet,
  sms_opt_out boolean NOT NULL DEFAULT false,
  sms_opt_out_date timestamptz,
  sms_opt_out_method text CONSTRAINT customers_sms_opt_out_method_check CHECK (sms_opt_out_method IN ('STOP', 'WEB', 'CALL')),
  -- An anonymous booking request makes an unverified customer, so that it never touches a known one.
  is_verified boolean NOT NULL DEFAULT true,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT customers_pk PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX customers_tenant_id_email_key ON customers (tenant_id, email) WHERE email IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX customers_tenant_id_phone_digits_idx ON customers (tenant_id, phone_digits) WHERE phone_digits IS NOT NULL;
CREATE INDEX customers_tenant_id_created_at_idx ON customers (tenant_id, created_at DESC, id DESC);
CREATE INDEX customers_tenant_id_name_idx ON customers (tenant_id, lower(name), id);

CREATE TABLE customer_auth (
  tenant_id uuid NOT NULL,
  customer_id bigint NOT NULL,
  email varchar(254) NOT NULL CONSTRAINT customer_auth_email_check CHECK (email = lower(email)),
  password_hash text NOT NULL,
  failed_logins integer NOT NULL DEFAULT 0,
  locked_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT customer_auth_pk PRIMARY KEY (tenant_id, customer_id),
  CONSTRAINT customer_auth_tenant_id_email_key UNIQUE (tenant_id, email),
  CONSTRAINT customer_auth_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE user_tenant_memberships (
  tenant_id uuid NOT NULL,
  user_id bigint NOT NULL,
  role text NOT NULL DEFAULT 'Customer' CONSTRAINT user_tenant_memberships_role_check CHECK (role = 'Customer'),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT user_tenant_memberships_pk PRIMARY KEY (tenant_id, user_id),
  CONSTRAINT user_tenant_memberships_tenant_id_user_id_fk FOREIGN KEY (tenant_id, user_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE vehicles (
  tenant_id uuid NOT NULL CONSTRAINT vehicles_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  customer_id bigint NOT NULL,
  make varchar(100) NOT NULL,
  model varchar(100) NOT NULL,
  year integer CONSTRAINT vehicles_year_check CHECK (year BETWEEN 1900 AND 2200),
  vin varchar(17) CONSTRAINT vehicles_vin_check CHECK (vin ~ '^[A-HJ-NPR-Z0-9]{17}$'),
  license_plate varchar(20) CONSTRAINT vehicles_license_plate_check CHECK (license_plate = upper(license_plate)),
  plate_key text GENERATED ALWAYS AS (plate_key(license_plate)) STORED,
  trim varchar(100),
  color varchar(50),
  mileage integer CONSTRAINT vehicles_mileage_check CHECK (mileage >= 0),
  notes varchar(1000),
  is_primary boolean NOT NULL DEFAULT false,
  is_active boolean NOT NULL DEFAULT true,
  last_service_date date,
  total_services integer NOT NULL DEFAULT 0,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT vehicles_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT vehicles_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT vehicles_primary_is_active_check CHECK (is_active OR NOT is_primary)
);
CREATE UNIQUE INDEX vehicles_tenant_id_vin_key ON vehicles (tenant_id, vin) WHERE vin IS NOT NULL;
CREATE UNIQUE INDEX vehicles_tenant_id_plate_key_key ON vehicles (tenant_id, plate_key) WHERE is_active AND plate_key IS NOT NULL;
CREATE UNIQUE INDEX vehicles_tenant_id_customer_id_primary_key ON vehicles (tenant_id, customer_id) WHERE is_primary;
CREATE INDEX vehicles_tenant_id_customer_id_idx ON vehicles (tenant_id, customer_id);
CREATE INDEX vehicles_tenant_id_created_at_idx ON vehicles (tenant_id, created_at DESC, id DESC);

CREATE TABLE technicians (
  tenant_id uuid NOT NULL CONSTRAINT technicians_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  name varchar(120) NOT NULL,
  initials varchar(4) NOT NULL CONSTRAINT technicians_initials_check CHECK (initials ~ '^[A-Z]{1,4}$'),
  is_active boolean NOT NULL DEFAULT true,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT technicians_pk PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX technicians_tenant_id_initials_key ON technicians (tenant_id, initials) WHERE is_active;

CREATE TABLE service_operations (
  tenant_id uuid NOT NULL CONSTRAINT service_operations_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id text NOT NULL CONSTRAINT service_operations_id_check CHECK (id <> '' AND length(id) <= 100),
  internal_code varchar(100) NOT NULL,
  name varchar(200) NOT NULL,
  category varchar(100) NOT NULL,
  subcategory varchar(100),
  keywords text[] NOT NULL DEFAULT '{}',
  flags text[] NOT NULL DEFAULT '{}',
  default_hours numeric(5, 2) CONSTRAINT service_operations_default_hours_check CHECK (default_hours >= 0),
  default_price_cents bigint CONSTRAINT service_operations_default_price_cents_check CHECK (default_price_cents >= 0),
  skill_level integer CONSTRAINT service_operations_skill_level_check CHECK (skill_level BETWEEN 1 AND 5),
  display_order integer,
  is_active boolean NOT NULL DEFAULT true,
  is_package boolean NOT NULL DEFAULT false,
  replaced_by_id text,
  labor_matrix_code varchar(100),
  -- Lower-case name, code, category and keywords with hyphens folded; written by the application.
  search text NOT NULL DEFAULT '',
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT service_operations_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT service_operations_tenant_id_internal_code_key UNIQUE (tenant_id, internal_code),
  CONSTRAINT service_operations_tenant_id_id_is_package_key UNIQUE (tenant_id, id, is_package),
  CONSTRAINT service_operations_tenant_id_replaced_by_id_fk FOREIGN KEY (tenant_id, replaced_by_id) REFERENCES service_operations (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX service_operations_tenant_id_category_idx ON service_operations (tenant_id, category);

-- A package holds operations, never packages: the constant columns make the foreign keys say so.
CREATE TABLE package_items (
  tenant_id uuid NOT NULL,
  service_id text NOT NULL,
  child_id text NOT NULL,
  parent_is_package boolean NOT NULL GENERATED ALWAYS AS (true) STORED,
  child_is_package boolean NOT NULL GENERATED ALWAYS AS (false) STORED,
  qty integer NOT NULL DEFAULT 1 CONSTRAINT package_items_qty_check CHECK (qty > 0),
  sort_order integer NOT NULL DEFAULT 0,
  CONSTRAINT package_items_pk PRIMARY KEY (tenant_id, service_id, child_id),
  CONSTRAINT package_items_service_id_check CHECK (service_id <> child_id),
  CONSTRAINT package_items_tenant_id_service_id_fk FOREIGN KEY (tenant_id, service_id, parent_is_package)
    REFERENCES service_operations (tenant_id, id, is_package) ON DELETE CASCADE,
  CONSTRAINT package_items_tenant_id_child_id_fk FOREIGN KEY (tenant_id, child_id, child_is_package)
    REFERENCES service_operations (tenant_id, id, is_package) ON DELETE RESTRICT
);
CREATE INDEX package_items_tenant_id_child_id_idx ON package_items (tenant_id, child_id);

CREATE TABLE appointments (
  tenant_id uuid NOT NULL CONSTRAINT appointments_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  customer_id bigint,
  vehicle_id bigint,
  tech_id uuid,
  status text NOT NULL DEFAULT 'SCHEDULED'
    CONSTRAINT appointments_status_check CHECK (status IN ('SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED')),
  start_ts timestamptz NOT NULL,
  end_ts timestamptz,
  -- End of the time the appointment occupies: end_ts, or start_ts plus the shop's default block. Written by the service.
  block_end_ts timestamptz NOT NULL,
  -- Sparse rank inside (tenant, status); smaller is higher on the board.
  position double precision,
  title varchar(255),
  notes text,
  location_address text,
  primary_operation_id text,
  service_category varchar(100),
  total_cents bigint CONSTRAINT appointments_total_cents_check CHECK (total_cents >= 0),
  paid_cents bigint NOT NULL DEFAULT 0 CONSTRAINT appointments_paid_cents_check CHECK (paid_cents >= 0),
  check_in_at timestamptz,
  check_out_at timestamptz,
  started_at timestamptz,
  completed_at timestamptz,
  source text NOT NULL DEFAULT 'staff' CONSTRAINT appointments_source_check CHECK (source IN ('staff', 'public', 'customer')),
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT appointments_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT appointments_end_ts_check CHECK (end_ts > start_ts AND end_ts <= start_ts + interval '48 hours'),
  CONSTRAINT appointments_block_end_ts_check CHECK (block_end_ts > start_ts),
  CONSTRAINT appointments_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT appointments_tenant_id_vehicle_id_fk FOREIGN KEY (tenant_id, vehicle_id) REFERENCES vehicles (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT appointments_tenant_id_tech_id_fk FOREIGN KEY (tenant_id, tech_id) REFERENCES technicians (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT appointments_tenant_id_primary_operation_id_fk FOREIGN KEY (tenant_id, primary_operation_id) REFERENCES service_operations (tenant_id, id) ON DELETE RESTRICT,
  -- Two open appointments of one technician, or of one vehicle, cannot overlap. Half-open: end = start of the next is fine.
  CONSTRAINT appointments_tech_block_excl EXCLUDE USING gist
    (tenant_id WITH =, tech_id WITH =, tstzrange(start_ts, block_end_ts) WITH &&)
    WHERE (tech_id IS NOT NULL AND deleted_at IS NULL AND status IN ('SCHEDULED', 'IN_PROGRESS', 'READY')),
  CONSTRAINT appointments_vehicle_block_excl EXCLUDE USING gist
    (tenant_id WITH =, vehicle_id WITH =, tstzrange(start_ts, block_end_ts) WITH &&)
    WHERE (vehicle_id IS NOT NULL AND deleted_at IS NULL AND status IN ('SCHEDULED', 'IN_PROGRESS', 'READY'))
);
CREATE INDEX appointments_tenant_id_start_ts_idx ON appointments (tenant_id, start_ts, id) WHERE deleted_at IS NULL;
CREATE INDEX appointments_tenant_id_status_position_idx ON appointments (tenant_id, status, position) WHERE deleted_at IS NULL;
CREATE INDEX appointments_open_work_idx ON appointments (tenant_id, start_ts)
  WHERE deleted_at IS NULL AND status IN ('IN_PROGRESS', 'READY');
CREATE INDEX appointments_on_premises_idx ON appointments (tenant_id, check_in_at)
  WHERE deleted_at IS NULL AND check_in_at IS NOT NULL AND check_out_at IS NULL;
CREATE INDEX appointments_tenant_id_customer_id_idx ON appointments (tenant_id, customer_id, start_ts DESC, id DESC);
CREATE INDEX appointments_tenant_id_vehicle_id_idx ON appointments (tenant_id, vehicle_id, start_ts DESC, id DESC);
CREATE INDEX appointments_tenant_id_tech_id_idx ON appointments (tenant_id, tech_id, start_ts);
CREATE INDEX appointments_tenant_id_primary_operation_id_idx ON appointments (tenant_id, primary_operation_id);

CREATE TABLE appointment_vehicles (
  tenant_id uuid NOT NULL,
  appointment_id bigint NOT NULL,
  vehicle_id bigint NOT NULL,
  mileage_at_service integer CONSTRAINT appointment_vehicles_mileage_at_service_check CHECK (mileage_at_service >= 0),
  CONSTRAINT appointment_vehicles_pk PRIMARY KEY (tenant_id, appointment_id, vehicle_id),
  CONSTRAINT appointment_vehicles_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT appointment_vehicles_tenant_id_vehicle_id_fk FOREIGN KEY (tenant_id, vehicle_id) REFERENCES vehicles (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX appointment_vehicles_tenant_id_vehicle_id_idx ON appointment_vehicles (tenant_id, vehicle_id);

CREATE TABLE appointment_status_history (
  tenant_id uuid NOT NULL,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  appointment_id bigint NOT NULL,
  from_status text,
  to_status text NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  actor_id text NOT NULL,
  actor_role text,
  source text NOT NULL CONSTRAINT appointment_status_history_source_check CHECK (source IN ('move', 'patch', 'quick', 'create', 'system')),
  CONSTRAINT appointment_status_history_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT appointment_status_history_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX appointment_status_history_tenant_id_appointment_id_idx ON appointment_status_history (tenant_id, appointment_id, id);

CREATE TABLE appointment_services (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  appointment_id bigint NOT NULL,
  service_operation_id text,
  name varchar(200) NOT NULL,
  notes text,
  estimated_hours numeric(5, 2) CONSTRAINT appointment_services_estimated_hours_check CHECK (estimated_hours >= 0),
  estimated_price_cents bigint CONSTRAINT appointment_services_estimated_price_cents_check CHECK (estimated_price_cents BETWEEN 0 AND 9999999999),
  category varchar(100),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT appointment_services_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT appointment_services_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT appointment_services_tenant_id_service_operation_id_fk FOREIGN KEY (tenant_id, service_operation_id) REFERENCES service_operations (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX appointment_services_tenant_id_appointment_id_idx ON appointment_services (tenant_id, appointment_id, created_at, id);
CREATE INDEX appointment_services_tenant_id_service_operation_id_idx ON appointment_services (tenant_id, service_operation_id);

CREATE TABLE invoices (
  tenant_id uuid NOT NULL CONSTRAINT invoices_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  number bigint NOT NULL,
  appointment_id bigint,
  customer_id bigint,
  vehicle_id bigint,
  status text NOT NULL DEFAULT 'DRAFT' CONSTRAINT invoices_status_check CHECK (status IN ('DRAFT', 'SENT', 'PARTIALLY_PAID', 'PAID', 'VOID')),
  currency char(3) NOT NULL DEFAULT 'USD' CONSTRAINT invoices_currency_check CHECK (currency = 'USD'),
  subtotal_cents bigint NOT NULL DEFAULT 0 CONSTRAINT invoices_subtotal_cents_check CHECK (subtotal_cents >= 0),
  tax_cents bigint NOT NULL DEFAULT 0 CONSTRAINT invoices_tax_cents_check CHECK (tax_cents >= 0),
  total_cents bigint NOT NULL DEFAULT 0,
  amount_paid_cents bigint NOT NULL DEFAULT 0,
  amount_due_cents bigint NOT NULL DEFAULT 0,
  notes text,
  issued_at timestamptz,
  paid_at timestamptz,
  voided_at timestamptz,
  void_reason text,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT invoices_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT invoices_tenant_id_number_key UNIQUE (tenant_id, number),
  CONSTRAINT invoices_total_cents_check CHECK (total_cents = subtotal_cents + tax_cents),
  CONSTRAINT invoices_amount_paid_cents_check CHECK (amount_paid_cents BETWEEN 0 AND total_cents),
  CONSTRAINT invoices_amount_due_cents_check CHECK (amount_due_cents = total_cents - amount_paid_cents),
  CONSTRAINT invoices_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT invoices_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT invoices_tenant_id_vehicle_id_fk FOREIGN KEY (tenant_id, vehicle_id) REFERENCES vehicles (tenant_id, id) ON DELETE RESTRICT
);
CREATE UNIQUE INDEX invoices_tenant_id_appointment_id_key ON invoices (tenant_id, appointment_id) WHERE status <> 'VOID';
CREATE INDEX invoices_tenant_id_appointment_id_idx ON invoices (tenant_id, appointment_id);
CREATE INDEX invoices_tenant_id_customer_id_idx ON invoices (tenant_id, customer_id);
CREATE INDEX invoices_tenant_id_vehicle_id_idx ON invoices (tenant_id, vehicle_id);
CREATE INDEX invoices_tenant_id_created_at_idx ON invoices (tenant_id, created_at DESC, id DESC);
CREATE INDEX invoices_tenant_id_status_idx ON invoices (tenant_id, status);

CREATE TABLE invoice_line_items (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  invoice_id uuid NOT NULL,
  position integer NOT NULL CONSTRAINT invoice_line_items_position_check CHECK (position >= 0),
  service_operation_id text,
  name varchar(200) NOT NULL,
  description text,
  quantity numeric(10, 2) NOT NULL DEFAULT 1 CONSTRAINT invoice_line_items_quantity_check CHECK (quantity > 0),
  unit_price_cents bigint NOT NULL CONSTRAINT invoice_line_items_unit_price_cents_check CHECK (unit_price_cents >= 0),
  line_subtotal_cents bigint NOT NULL,
  tax_rate_basis_points integer NOT NULL DEFAULT 0
    CONSTRAINT invoice_line_items_tax_rate_basis_points_check CHECK (tax_rate_basis_points BETWEEN 0 AND 10000),
  tax_cents bigint NOT NULL DEFAULT 0 CONSTRAINT invoice_line_items_tax_cents_check CHECK (tax_cents >= 0),
  total_cents bigint NOT NULL,
  package_id text,
  package_name varchar(200),
  service_category varchar(100),
  service_subcategory varchar(100),
  service_internal_code varchar(100),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT invoice_line_items_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT invoice_line_items_tenant_id_invoice_id_position_key UNIQUE (tenant_id, invoice_id, position),
  CONSTRAINT invoice_line_items_line_subtotal_cents_check CHECK (line_subtotal_cents = round(quantity * unit_price_cents)),
  CONSTRAINT invoice_line_items_total_cents_check CHECK (total_cents = line_subtotal_cents + tax_cents),
  CONSTRAINT invoice_line_items_tenant_id_invoice_id_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE payments (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  invoice_id uuid NOT NULL,
  appointment_id bigint,
  amount_cents bigint NOT NULL CONSTRAINT payments_amount_cents_check CHECK (amount_cents <> 0),
  method text NOT NULL CONSTRAINT payments_method_check CHECK (method IN ('cash', 'card', 'ach', 'check', 'other')),
  note varchar(500),
  external_ref text,
  received_at timestamptz NOT NULL DEFAULT now(),
  recorded_by text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  voided_at timestamptz,
  voided_by text,
  void_reason text,
  CONSTRAINT payments_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT payments_tenant_id_invoice_id_fk FOREIGN KEY (tenant_id, invoice_id) REFERENCES invoices (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT payments_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX payments_tenant_id_invoice_id_idx ON payments (tenant_id, invoice_id);
CREATE INDEX payments_tenant_id_appointment_id_idx ON payments (tenant_id, appointment_id);
CREATE INDEX payments_tenant_id_received_at_idx ON payments (tenant_id, received_at);

CREATE TABLE messages (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  appointment_id bigint NOT NULL,
  customer_id bigint,
  channel text NOT NULL CONSTRAINT messages_channel_check CHECK (channel IN ('sms', 'email')),
  direction text NOT NULL CONSTRAINT messages_direction_check CHECK (direction IN ('out', 'in')),
  status text NOT NULL CONSTRAINT messages_status_check CHECK (status IN ('sending', 'delivered', 'failed')),
  body varchar(5000) NOT NULL CONSTRAINT messages_body_check CHECK (body <> ''),
  template_id uuid,
  provider_id text,
  error_code text,
  sent_at timestamptz DEFAULT now(),
  delivered_at timestamptz,
  created_by text,
  created_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz,
  CONSTRAINT messages_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT messages_tenant_id_provider_id_key UNIQUE (tenant_id, provider_id),
  CONSTRAINT messages_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE,
  CONSTRAINT messages_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX messages_tenant_id_appointment_id_idx ON messages (tenant_id, appointment_id, sent_at);
CREATE INDEX messages_tenant_id_customer_id_idx ON messages (tenant_id, customer_id);

CREATE TABLE customer_notes (
  tenant_id uuid NOT NULL,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  customer_id bigint NOT NULL,
  author_id text NOT NULL,
  author_name text NOT NULL,
  author_role text NOT NULL,
  content varchar(500) NOT NULL CONSTRAINT customer_notes_content_check CHECK (content <> ''),
  is_alert boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT customer_notes_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT customer_notes_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX customer_notes_tenant_id_customer_id_idx ON customer_notes (tenant_id, customer_id, created_at DESC, id DESC);

-- ---------------------------------------------------------------- audit: append-only

CREATE TABLE customer_audits (
  tenant_id uuid NOT NULL,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  customer_id bigint NOT NULL,
  actor_id text NOT NULL,
  fields_changed jsonb NOT NULL CONSTRAINT customer_audits_fields_changed_check CHECK (jsonb_typeof(fields_changed) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT customer_audits_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT customer_audits_tenant_id_customer_id_fk FOREIGN KEY (tenant_id, customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX customer_audits_tenant_id_customer_id_idx ON customer_audits (tenant_id, customer_id, created_at DESC);

CREATE TABLE vehicle_audits (
  tenant_id uuid NOT NULL,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  vehicle_id bigint NOT NULL,
  actor_id text NOT NULL,
  fields_changed jsonb NOT NULL CONSTRAINT vehicle_audits_fields_changed_check CHECK (jsonb_typeof(fields_changed) = 'object'),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT vehicle_audits_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT vehicle_audits_tenant_id_vehicle_id_fk FOREIGN KEY (tenant_id, vehicle_id) REFERENCES vehicles (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX vehicle_audits_tenant_id_vehicle_id_idx ON vehicle_audits (tenant_id, vehicle_id, created_at DESC);

CREATE TABLE vehicle_audit_log (
  tenant_id uuid NOT NULL,
  id bigint GENERATED BY DEFAULT AS IDENTITY,
  vehicle_id bigint NOT NULL,
  action varchar(50) NOT NULL,
  old_customer_id bigint,
  new_customer_id bigint,
  performed_by varchar(100) NOT NULL,
  performed_at timestamptz NOT NULL DEFAULT now(),
  notes text,
  CONSTRAINT vehicle_audit_log_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT vehicle_audit_log_tenant_id_vehicle_id_fk FOREIGN KEY (tenant_id, vehicle_id) REFERENCES vehicles (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT vehicle_audit_log_tenant_id_old_customer_id_fk FOREIGN KEY (tenant_id, old_customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT vehicle_audit_log_tenant_id_new_customer_id_fk FOREIGN KEY (tenant_id, new_customer_id) REFERENCES customers (tenant_id, id) ON DELETE RESTRICT
);
CREATE INDEX vehicle_audit_log_tenant_id_vehicle_id_idx ON vehicle_audit_log (tenant_id, vehicle_id, performed_at DESC);
CREATE INDEX vehicle_audit_log_tenant_id_old_customer_id_idx ON vehicle_audit_log (tenant_id, old_customer_id);
CREATE INDEX vehicle_audit_log_tenant_id_new_customer_id_idx ON vehicle_audit_log (tenant_id, new_customer_id);

CREATE TABLE audit_logs (
  tenant_id uuid NOT NULL CONSTRAINT audit_logs_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  user_id text NOT NULL,
  role text,
  action text NOT NULL,
  entity text NOT NULL,
  entity_id text NOT NULL,
  before jsonb,
  after jsonb,
  request_id uuid,
  ip inet,
  user_agent varchar(300),
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT audit_logs_pk PRIMARY KEY (tenant_id, id)
);
CREATE INDEX audit_logs_tenant_id_created_at_idx ON audit_logs (tenant_id, created_at DESC, id DESC);
CREATE INDEX audit_logs_tenant_id_entity_entity_id_idx ON audit_logs (tenant_id, entity, entity_id);

CREATE TABLE idempotency_keys (
  tenant_id uuid NOT NULL,
  actor text NOT NULL,
  method text NOT NULL,
  route text NOT NULL,
  key text NOT NULL CONSTRAINT idempotency_keys_key_check CHECK (length(key) BETWEEN 1 AND 200),
  body_hash text NOT NULL,
  status integer NOT NULL,
  headers jsonb NOT NULL DEFAULT '{}',
  response text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL DEFAULT now() + interval '24 hours',
  CONSTRAINT idempotency_keys_pk PRIMARY KEY (tenant_id, actor, method, route, key),
  CONSTRAINT idempotency_keys_tenant_id_fk FOREIGN KEY (tenant_id) REFERENCES tenants (id) ON DELETE CASCADE
);
CREATE INDEX idempotency_keys_expires_at_idx ON idempotency_keys (expires_at);

-- ---------------------------------------------------------------- row-level security and rights

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY[
    'tenant_settings', 'customers', 'customer_auth', 'user_tenant_memberships', 'vehicles', 'technicians', 'service_operations',
    'package_items', 'appointments', 'appointment_vehicles', 'appointment_status_history', 'appointment_services', 'invoices',
    'invoice_line_items', 'payments', 'messages', 'customer_notes', 'customer_audits', 'vehicle_audits', 'vehicle_audit_log',
    'audit_logs', 'idempotency_keys'
  ] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR SELECT USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_select', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR INSERT WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_insert', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR UPDATE USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_update', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR DELETE USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_delete', name);
  END LOOP;
END $$;

GRANT USAGE ON SCHEMA public TO autoshop_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON
  tenants, staff_users, staff_tenant_memberships, sessions, refresh_tokens, password_resets,
  tenant_settings, customers, customer_auth, user_tenant_memberships, vehicles, technicians, service_operations, package_items,
  appointments, appointment_vehicles, appointment_services, invoices, invoice_line_items, messages, customer_notes, idempotency_keys
  TO autoshop_app;
-- Append-only: what happened is never rewritten by the service.
GRANT SELECT, INSERT ON appointment_status_history, customer_audits, vehicle_audits, vehicle_audit_log, audit_logs, payments TO autoshop_app;
GRANT UPDATE (voided_at, voided_by, void_reason) ON payments TO autoshop_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO autoshop_app;

-- The outbox: the service may add a job in its own transaction, and nothing else of the job library.
CREATE FUNCTION enqueue_job(task text, payload json, run_at timestamptz, max_attempts integer, job_key text) RETURNS bigint
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  job_id bigint;
BEGIN
  SELECT id INTO job_id FROM graphile_worker.add_job(
    identifier => task, payload => payload, run_at => run_at, max_attempts => max_attempts, job_key => job_key);
  RETURN job_id;
END $$;
REVOKE ALL ON FUNCTION enqueue_job(text, json, timestamptz, integer, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION enqueue_job(text, json, timestamptz, integer, text) TO autoshop_app;
