/** Statements on sessions and refresh tokens, tables outside row-level security. A session is the family of its refresh tokens. */

/**
 * A session with its actor as both are now: no row when it has ended or the actor is gone. Runs in the scope of the session's
 * tenant, without which the customer would be invisible. The cast hides behind CASE because staff ids are not numbers.
 */
export const SESSION_BY_SID = {
  name: 'sessions_by_sid',
  text: `SELECT s.sid::text, s.actor_type, s.actor_id, s.tenant_id::text, s.expires_at,
      coalesce(u.name, c.name) AS name, coalesce(u.email, c.email) AS email, u.username, u.default_tenant_id::text,
      (SELECT json_object_agg(m.tenant_id, m.role) FROM staff_tenant_memberships m WHERE m.staff_id = u.id) AS roles
    FROM sessions s
    LEFT JOIN staff_users u ON s.actor_type = 'staff' AND u.id = s.actor_id AND u.is_active
    LEFT JOIN customers c ON s.actor_type = 'customer' AND c.tenant_id = s.tenant_id
      AND c.id = CASE WHEN s.actor_type = 'customer' THEN s.actor_id::bigint END AND c.deleted_at IS NULL
    WHERE s.sid = $1::uuid AND s.tenant_id = $2::uuid AND s.revoked_at IS NULL AND s.expires_at > now()
      AND (u.id IS NOT NULL OR c.id IS NOT NULL)`,
};

export interface SessionRow {
  sid: string;
  actor_type: 'staff' | 'customer';
  actor_id: string;
  tenant_id: string;
  expires_at: Date;
  name: string;
  email: string | null;
  username: string | null;
  default_tenant_id: string | null;
  roles: Record<string, string> | null;
}

export const INSERT_SESSION = {
  name: 'sessions_insert',
  text: `WITH session AS (
      INSERT INTO sessions (sid, actor_type, actor_id, tenant_id, ip, user_agent, expires_at)
      VALUES ($1::uuid, $2, $3, $4::uuid, $5::inet, $6, now() + make_interval(secs => $8)) RETURNING sid, expires_at)
    INSERT INTO refresh_tokens (token_hash, sid, expires_at) SELECT $7, sid, expires_at FROM session`,
};

/** Locks the token, so that of two requests presenting it one rotates and the other finds it rotated. */
export const REFRESH_TOKEN_FOR_ROTATION = {
  name: 'refresh_tokens_for_rotation',
  text: `SELECT r.sid::text, s.tenant_id::text, r.next_salt,
      (s.revoked_at IS NOT NULL OR s.expires_at <= now() OR r.expires_at <= now()) AS ended,
      r.rotated_at IS NOT NULL AS rotated, coalesce(r.rotated_at < clock_timestamp() - make_interval(secs => $2), false) AS past_grace
    FROM refresh_tokens r JOIN sessions s ON s.sid = r.sid
    WHERE r.token_hash = $1 FOR UPDATE OF r`,
};

export interface RefreshTokenRow {
  sid: string;
  tenant_id: string;
  next_salt: string | null;
  ended: boolean;
  rotated: boolean;
  past_grace: boolean;
}

export const ROTATE_REFRESH_TOKEN = {
  name: 'refresh_tokens_rotate',
  text: `WITH former AS (
      UPDATE refresh_tokens SET rotated_at = clock_timestamp(), next_salt = $2 WHERE token_hash = $1 RETURNING sid),
    session AS (
      UPDATE sessions s SET last_seen_at = now(), expires_at = now() + make_interval(secs => $4) FROM former f WHERE s.sid = f.sid
      RETURNING s.sid, s.expires_at)
    INSERT INTO refresh_tokens (token_hash, sid, expires_at) SELECT $3, sid, expires_at FROM session`,
};

export const REVOKE_SESSION = {
  name: 'sessions_revoke',
  text: 'UPDATE sessions SET revoked_at = now() WHERE sid = $1::uuid AND revoked_at IS NULL RETURNING actor_type, actor_id, tenant_id::text',
};

export const SESSION_OF_REFRESH_TOKEN = {
  name: 'sessions_of_refresh_token',
  text: 'SELECT s.sid::text, s.tenant_id::text FROM refresh_tokens r JOIN sessions s ON s.sid = r.sid WHERE r.token_hash = $1',
};

export const REVOKE_ACTOR_SESSIONS = {
  name: 'sessions_revoke_actor',
  text: `UPDATE sessions SET revoked_at = now() WHERE actor_type = $1 AND actor_id = $2 AND revoked_at IS NULL RETURNING sid::text`,
};

/** A session that nobody can use any more; one that was ended by hand is kept for a day. */
export const ENDED_SESSION = `expires_at < now() OR revoked_at < now() - interval '1 day'`;
export const EXPIRED = 'expires_at < now()';

/** Deletes in batches, so that no statement holds many rows; what another run is deleting is left to it; refresh tokens go with their session. Returns one row for each deleted. */
export const PRUNE_SESSIONS = {
  text: `DELETE FROM sessions WHERE sid IN (
      SELECT sid FROM sessions WHERE ${ENDED_SESSION} LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1 AS gone`,
};
/** Rotated tokens are kept while the session lives: they are what betrays a reuse. */
export const PRUNE_RESETS = {
  text: `DELETE FROM password_resets WHERE (actor_type, user_id, token_hash) IN (
      SELECT actor_type, user_id, token_hash FROM password_resets WHERE ${EXPIRED} LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1 AS gone`,
};
/** Under row-level security: runs once for each tenant. */
export const PRUNE_IDEMPOTENCY_KEYS = {
  text: `DELETE FROM idempotency_keys WHERE tenant_id = $2::uuid AND (actor, method, route, key) IN (
      SELECT actor, method, route, key FROM idempotency_keys WHERE tenant_id = $2::uuid AND ${EXPIRED} LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING 1 AS gone`,
};
