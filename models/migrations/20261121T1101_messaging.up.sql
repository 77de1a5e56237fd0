-- Templates with their usage, what was notified automatically, and texts that came in.

CREATE TABLE message_templates (
  tenant_id uuid NOT NULL CONSTRAINT message_templates_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  slug varchar(100) NOT NULL CONSTRAINT message_templates_slug_check CHECK (slug ~ '^[a-z0-9_-]+$'),
  label varchar(200) NOT NULL CONSTRAINT message_templates_label_check CHECK (label <> ''),
  channel text NOT NULL CONSTRAINT message_templates_channel_check CHECK (channel IN ('sms', 'email')),
  category varchar(100),
  body varchar(5000) NOT NULL CONSTRAINT message_templates_body_check CHECK (body <> ''),
  -- Paths of the variables in the body, sorted and unique; written by the application.
  variables text[] NOT NULL DEFAULT '{}',
  is_active boolean NOT NULL DEFAULT true,
  created_by text,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT message_templates_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT message_templates_tenant_id_slug_key UNIQUE (tenant_id, slug)
);

CREATE TABLE template_usage_events (
  tenant_id uuid NOT NULL CONSTRAINT template_usage_events_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  template_id uuid NOT NULL,
  channel text NOT NULL CONSTRAINT template_usage_events_channel_check CHECK (channel IN ('sms', 'email')),
  appointment_id bigint,
  user_id text NOT NULL,
  sent_at timestamptz NOT NULL DEFAULT now(),
  delivery_ms integer CONSTRAINT template_usage_events_delivery_ms_check CHECK (delivery_ms >= 0),
  was_automated boolean NOT NULL DEFAULT false,
  hash text NOT NULL,
  CONSTRAINT template_usage_events_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT template_usage_events_tenant_id_hash_key UNIQUE (tenant_id, hash),
  CONSTRAINT template_usage_events_tenant_id_template_id_fk FOREIGN KEY (tenant_id, template_id) REFERENCES message_templates (tenant_id, id) ON DELETE RESTRICT,
  CONSTRAINT template_usage_events_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX template_usage_events_tenant_id_sent_at_idx ON template_usage_events (tenant_id, sent_at);
CREATE INDEX template_usage_events_tenant_id_template_id_idx ON template_usage_events (tenant_id, template_id, sent_at);
CREATE INDEX template_usage_events_tenant_id_appointment_id_idx ON template_usage_events (tenant_id, appointment_id);

-- One automatic message of each kind for an appointment. start_ts is the start it speaks of: when the appointment moves, the row
-- may be claimed again for the new one.
CREATE TABLE notification_log (
  tenant_id uuid NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  appointment_id bigint NOT NULL,
  notification_type text NOT NULL CONSTRAINT notification_log_notification_type_check
    CHECK (notification_type IN ('appointment_confirmation', 'reminder_24h', 'appointment_cancelled')),
  status text NOT NULL DEFAULT 'pending' CONSTRAINT notification_log_status_check CHECK (status IN ('pending', 'sent', 'failed')),
  start_ts timestamptz NOT NULL,
  message_id uuid,
  error_code text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT notification_log_pk PRIMARY KEY (tenant_id, id),
  CONSTRAINT notification_log_tenant_id_appointment_id_type_key UNIQUE (tenant_id, appointment_id, notification_type),
  CONSTRAINT notification_log_tenant_id_appointment_id_fk FOREIGN KEY (tenant_id, appointment_id) REFERENCES appointments (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX notification_log_tenant_id_message_id_idx ON notification_log (tenant_id, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX notification_log_tenant_id_created_at_idx ON notification_log (tenant_id, created_at);

-- Ids of texts that came in: a second arrival of one, or a replay of it, does nothing.
CREATE TABLE inbound_messages (
  tenant_id uuid NOT NULL CONSTRAINT inbound_messages_tenant_id_fk REFERENCES tenants (id) ON DELETE RESTRICT,
  provider_id text NOT NULL CONSTRAINT inbound_messages_provider_id_check CHECK (length(provider_id) BETWEEN 1 AND 100),
  outcome text NOT NULL CONSTRAINT inbound_messages_outcome_check CHECK (outcome IN ('opt_out', 'opt_in', 'text')),
  received_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT inbound_messages_pk PRIMARY KEY (tenant_id, provider_id)
);

-- handed_at: the provider has been called; from then on the message may have left, whatever its status says.
ALTER TABLE messages ADD COLUMN handed_at timestamptz;
ALTER TABLE messages ADD CONSTRAINT messages_tenant_id_template_id_fk
  FOREIGN KEY (tenant_id, template_id) REFERENCES message_templates (tenant_id, id) ON DELETE RESTRICT;
CREATE INDEX messages_tenant_id_template_id_idx ON messages (tenant_id, template_id);
CREATE INDEX messages_tenant_id_created_at_idx ON messages (tenant_id, created_at) WHERE direction = 'out';
CREATE INDEX messages_tenant_id_customer_id_created_at_idx ON messages (tenant_id, customer_id, created_at) WHERE direction = 'out';

-- The number a shop sends from, when it has one of its own; the other shops share the service's.
ALTER TABLE tenants ADD COLUMN sms_number varchar(16)
  CONSTRAINT tenants_sms_number_check CHECK (sms_number ~ '^\+[1-9][0-9]{9,14}$');
ALTER TABLE tenants ADD CONSTRAINT tenants_sms_number_key UNIQUE (sms_number);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['message_templates', 'template_usage_events', 'notification_log', 'inbound_messages'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR SELECT USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_select', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR INSERT WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_insert', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR UPDATE USING (tenant_id = (SELECT current_tenant_id())) WITH CHECK (tenant_id = (SELECT current_tenant_id()))', name || '_rls_update', name);
    EXECUTE format('CREATE POLICY %I ON %I FOR DELETE USING (tenant_id = (SELECT current_tenant_id()))', name || '_rls_delete', name);
  END LOOP;
END $$;

GRANT SELECT, INSERT, UPDATE, DELETE ON message_templates, notification_log TO autoshop_app;
GRANT SELECT, INSERT ON template_usage_events, inbound_messages TO autoshop_app;
