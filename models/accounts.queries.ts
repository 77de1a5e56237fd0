/**
 * Statements on what people log in with. Staff live outside row-level security, because they are looked up before a tenant is
 * known; customers belong to one tenant, so theirs run in its scope. An account is locked for a while after too many failures
 * in a row; the counter starts anew then, so the next lock needs as many again.
 */

const MEMBERSHIPS = `(SELECT json_agg(json_build_object('tenantId', m.tenant_id, 'role', m.role, 'isOpen', t.status IN ('active', 'trial'))
    ORDER BY m.tenant_id = u.default_tenant_id DESC NULLS LAST, m.created_at, m.tenant_id)
  FROM staff_tenant_memberships m JOIN tenants t ON t.id = m.tenant_id WHERE m.staff_id = u.id)`;

export interface MembershipRow {
  tenantId: string;
  role: string;
  isOpen: boolean;
}

export interface StaffLoginRow {
  id: string;
  username: string;
  email: string | null;
  name: string;
  password_hash: string;
  locked: boolean;
  /** The default one first. */
  memberships: MembershipRow[] | null;
}

/** By user name or e-mail, in lower case. Somebody's user name wins over somebody else's e-mail. */
export const STAFF_LOGIN = {
  name: 'staff_users_login',
  text: `SELECT u.id, u.username, u.email, u.name, u.password_hash, coalesce(u.locked_until > now(), false) AS locked, ${MEMBERSHIPS} AS memberships
    FROM staff_users u WHERE (lower(u.username) = $1 OR lower(u.email) = $1) AND u.is_active
    ORDER BY lower(u.username) = $1 DESC LIMIT 1`,
};

export interface CustomerLoginRow {
  id: number;
  name: string;
  email: string;
  password_hash: string;
  locked: boolean;
}

export const CUSTOMER_LOGIN = {
  name: 'customer_auth_login',
  text: `SELECT c.id, c.name, a.email, a.password_hash, coalesce(a.locked_until > now(), false) AS locked
    FROM customer_auth a JOIN customers c ON c.tenant_id = a.tenant_id AND c.id = a.customer_id
    WHERE a.tenant_id = $1::uuid AND a.email = $2 AND c.deleted_at IS NULL`,
};

/**
 * A row when the account may log in now: re-read under a lock, so that neither a lock raised by parallel failures nor a
 * password changed meanwhile is missed. Writes only when there is something to reset.
 */
const succeeded = (table: string, key: string, active: string) => `WITH account AS (
    SELECT * FROM ${table} WHERE ${key} AND password_hash = $1 AND (locked_until IS NULL OR locked_until <= now())${active} FOR UPDATE),
  reset AS (
    UPDATE ${table} SET failed_logins = 0, locked_until = NULL
    WHERE ${key} AND EXISTS (SELECT FROM account WHERE failed_logins > 0 OR locked_until IS NOT NULL))
  SELECT 1 AS ok FROM account`;

const failed = (table: string, key: string) => `UPDATE ${table} SET
    failed_logins = CASE WHEN failed_logins + 1 >= $1 THEN 0 ELSE failed_logins + 1 END,
    locked_until = CASE WHEN failed_logins + 1 >= $1 THEN now() + make_interval(secs => $2) ELSE locked_until END
  WHERE ${key} AND (locked_until IS NULL OR locked_until <= now()) RETURNING coalesce(locked_until > now(), false) AS locked`;

export const STAFF_LOGIN_SUCCEEDED = { name: 'staff_users_login_succeeded', text: succeeded('staff_users', 'id = $2', ' AND is_active') };
export const CUSTOMER_LOGIN_SUCCEEDED = {
  name: 'customer_auth_login_succeeded',
  text: succeeded('customer_auth', 'tenant_id = $2::uuid AND customer_id = $3::bigint', ''),
};
export const STAFF_LOGIN_FAILED = { name: 'staff_users_login_failed', text: failed('staff_users', 'id = $3') };
export const CUSTOMER_LOGIN_FAILED = {
  name: 'customer_auth_login_failed',
  text: failed('customer_auth', 'tenant_id = $3::uuid AND customer_id = $4::bigint'),
};

/** Customer, credentials and membership together or not at all. */
export const REGISTER_CUSTOMER = {
  text: `WITH customer AS (
      INSERT INTO customers (tenant_id, name, email, phone, customer_since) VALUES ($1::uuid, $2, $3, $4, $6::date) RETURNING tenant_id, id, email),
    credentials AS (
      INSERT INTO customer_auth (tenant_id, customer_id, email, password_hash) SELECT tenant_id, id, email, $5 FROM customer),
    membership AS (
      INSERT INTO user_tenant_memberships (tenant_id, user_id) SELECT tenant_id, id FROM customer)
    SELECT id FROM customer`,
};

/** The customer who has this e-mail, with or without a log-in. */
export const CUSTOMER_BY_EMAIL = {
  name: 'customers_by_email',
  text: `SELECT c.id, c.name, c.email, EXISTS (SELECT FROM customer_auth a WHERE a.tenant_id = c.tenant_id AND a.customer_id = c.id) AS has_login
    FROM customers c WHERE c.tenant_id = $1::uuid AND c.email = $2 AND c.deleted_at IS NULL`,
};
export const CUSTOMER_BY_ID = {
  text: 'SELECT c.id, c.name, c.email FROM customers c WHERE c.tenant_id = $1::uuid AND c.id = $2::bigint AND c.deleted_at IS NULL',
};

/** The first log-in of a customer whom the staff created is made here, after proof of the mailbox. */
export const SET_CUSTOMER_PASSWORD = {
  text: `WITH credentials AS (
      INSERT INTO customer_auth (tenant_id, customer_id, email, password_hash)
      SELECT tenant_id, id, email, $3 FROM customers WHERE tenant_id = $1::uuid AND id = $2::bigint AND email IS NOT NULL
      ON CONFLICT (tenant_id, customer_id) DO UPDATE
        SET password_hash = excluded.password_hash, failed_logins = 0, locked_until = NULL, updated_at = now()
      RETURNING tenant_id, customer_id)
    INSERT INTO user_tenant_memberships (tenant_id, user_id) SELECT tenant_id, customer_id FROM credentials ON CONFLICT DO NOTHING`,
};

export const SET_STAFF_PASSWORD = {
  text: 'UPDATE staff_users SET password_hash = $2, failed_logins = 0, locked_until = NULL, updated_at = now() WHERE id = $1 RETURNING id',
};

// ------------------------------------------------------------------ password resets

export const STAFF_BY_EMAIL = {
  name: 'staff_users_by_email',
  text: `SELECT u.id, u.name, u.email, ${MEMBERSHIPS} AS memberships FROM staff_users u WHERE lower(u.email) = $1 AND u.is_active`,
};
export const STAFF_BY_ID = {
  name: 'staff_users_by_id',
  text: `SELECT u.id, u.username, u.name, u.email, u.is_active, u.created_at, ${MEMBERSHIPS} AS memberships FROM staff_users u WHERE u.id = $1`,
};

export interface OpenResetRow {
  user_id: string;
  token_hash: string;
  tenant_id: string;
}

/** One statement whether or not there is an account, so that time tells nothing. */
export const OPEN_STAFF_RESETS = {
  name: 'password_resets_staff',
  text: `SELECT r.user_id, r.token_hash, r.tenant_id::text FROM staff_users u
    JOIN password_resets r ON r.actor_type = 'staff' AND r.user_id = u.id
    WHERE lower(u.email) = $1 AND u.is_active AND r.used_at IS NULL AND r.expires_at > now()`,
};
export const OPEN_CUSTOMER_RESETS = {
  name: 'password_resets_customer',
  text: `SELECT r.user_id, r.token_hash, r.tenant_id::text FROM customers c
    JOIN password_resets r ON r.actor_type = 'customer' AND r.user_id = c.id::text AND r.tenant_id = c.tenant_id
    WHERE c.tenant_id = $1::uuid AND c.email = $2 AND c.deleted_at IS NULL AND r.used_at IS NULL AND r.expires_at > now()`,
};

export const DROP_RESETS = { name: 'password_resets_drop', text: 'DELETE FROM password_resets WHERE actor_type = $1 AND user_id = $2' };
export const ADD_RESET = {
  name: 'password_resets_add',
  text: `INSERT INTO password_resets (actor_type, user_id, token_hash, tenant_id, expires_at)
    VALUES ($1, $2, $3, $4::uuid, now() + make_interval(secs => $5))`,
};
/** A row for exactly one of those who present the same token at once. */
export const USE_RESET = {
  name: 'password_resets_use',
  text: `UPDATE password_resets SET used_at = now()
    WHERE actor_type = $1 AND user_id = $2 AND token_hash = $3 AND used_at IS NULL AND expires_at > now() RETURNING user_id`,
};

// ------------------------------------------------------------------ staff

export const INSERT_STAFF = {
  text: `INSERT INTO staff_users (username, email, name, password_hash, default_tenant_id) VALUES ($1, $2, $3, $4, $5::uuid) RETURNING id`,
};
export const FIND_STAFF = {
  text: `SELECT u.id FROM staff_users u WHERE u.id = $1 OR lower(u.username) = lower($1) OR lower(u.email) = lower($1)
    ORDER BY u.id = $1 DESC, lower(u.username) = lower($1) DESC LIMIT 1`,
};
export const LIST_STAFF = {
  text: `SELECT u.id, u.username, u.email, u.name, u.is_active, coalesce(u.locked_until > now(), false) AS locked,
      coalesce((SELECT string_agg(t.slug || ':' || m.role, ' ' ORDER BY t.slug)
        FROM staff_tenant_memberships m JOIN tenants t ON t.id = m.tenant_id WHERE m.staff_id = u.id), '') AS memberships
    FROM staff_users u ORDER BY lower(u.username)`,
};

/** Changes of one tenant's memberships follow each other, so that two Owners cannot demote each other at once. */
export const LOCK_TENANT = { text: 'SELECT 1 AS ok FROM tenants WHERE id = $1::uuid FOR NO KEY UPDATE' };
export const MEMBERSHIP = {
  text: `SELECT (SELECT m.role FROM staff_tenant_memberships m WHERE m.staff_id = u.id AND m.tenant_id = $2::uuid) AS role,
      (SELECT count(*) FROM staff_tenant_memberships o JOIN staff_users ou ON ou.id = o.staff_id AND ou.is_active
        WHERE o.tenant_id = $2::uuid AND o.role = 'Owner' AND o.staff_id <> u.id) AS other_owners
    FROM staff_users u WHERE u.id = $1`,
};
export const SET_MEMBERSHIP = {
  text: `INSERT INTO staff_tenant_memberships (staff_id, tenant_id, role) VALUES ($1, $2::uuid, $3)
    ON CONFLICT (staff_id, tenant_id) DO UPDATE SET role = excluded.role, updated_at = now()`,
};
