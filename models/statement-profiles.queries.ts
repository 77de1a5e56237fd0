/** Statements about statements: the counters of pg_stat_statements, and what is kept of them. Outside row-level security: about no shop. */

/** Where the extension is, if it is, and whether the server has loaded it: only then does its setting exist. */
export const FIND_EXTENSION = {
  text: `SELECT quote_ident(n.nspname) AS schema, current_setting('pg_stat_statements.max', true) IS NOT NULL AS loaded
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'`,
};

/** One profile at a time, whichever instance takes it. */
export const LOCK_PROFILE = { text: `SELECT pg_advisory_xact_lock(hashtext('statement_profiles'))` };

export const COUNTED_AT = { text: 'SELECT max(counted_at) AS at FROM statement_counters' };

const OWN = `s.userid = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** The service's own statements in this database. @param schema quoted, as {@link FIND_EXTENSION} gives it */
export const readCounters = (schema: string) => ({
  text: `SELECT s.queryid::text, sum(s.calls)::float8 AS calls, sum(s.total_exec_time) AS "totalMs", sum(s.rows)::float8 AS rows
    FROM ${schema}.pg_stat_statements(false) s WHERE ${OWN} AND s.toplevel AND s.queryid IS NOT NULL GROUP BY s.queryid`,
});

/** `$1`: queryids as text. */
export const readTexts = (schema: string) => ({
  text: `SELECT s.queryid::text, min(s.query) AS text FROM ${schema}.pg_stat_statements s
    WHERE ${OWN} AND s.queryid = ANY ($1::bigint[]) GROUP BY s.queryid`,
});

export const FORMER_COUNTERS = {
  text: 'SELECT queryid::text, calls::float8, total_ms AS "totalMs", rows::float8 FROM statement_counters',
};

export const FORGET_COUNTERS = { text: 'DELETE FROM statement_counters' };

/** `$1`-`$4`: columns, `$5`: the moment. */
export const KEEP_COUNTERS = {
  text: `INSERT INTO statement_counters (queryid, calls, total_ms, rows, counted_at)
    SELECT q, c, t, r, $5 FROM unnest($1::bigint[], $2::bigint[], $3::float8[], $4::bigint[]) AS k (q, c, t, r)`,
};

/** `$1`: queryids, `$2`: from when on. */
export const BASELINES = {
  text: `SELECT queryid::text, percentile_cont(0.5) WITHIN GROUP (ORDER BY mean_ms) AS "medianMs", count(*)::int AS samples
    FROM statement_profiles WHERE queryid = ANY ($1::bigint[]) AND sampled_at >= $2 GROUP BY queryid`,
};

/** `$1`: the moment, then columns. */
export const ADD_PROFILE = {
  text: `INSERT INTO statement_profiles (sampled_at, queryid, fingerprint, calls, total_ms, rows, baseline_ms, is_regression)
    SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::float8[], $6::bigint[], $7::float8[], $8::boolean[])`,
};

export const FORGET_PROFILES = { text: 'DELETE FROM statement_profiles WHERE sampled_at < $1' };

export const LATEST_PROFILE = {
  text: `SELECT sampled_at AS "sampledAt", queryid::text, fingerprint, calls::float8, total_ms AS total, mean_ms AS mean, rows::float8, baseline_ms AS baseline,
      is_regression AS "isRegression"
    FROM statement_profiles WHERE sampled_at = (SELECT max(sampled_at) FROM statement_profiles) ORDER BY total_ms DESC`,
};

/**
 * The server as a whole. Whose transactions they are only a privileged role may see, so idle and longest are those of the service's own
 * role; the count is of all roles. Physical replication does not count against max_connections and has no database.
 */
export const SERVER_FIGURES = {
  text: `SELECT current_setting('max_connections')::int AS max_connections,
      count(*) FILTER (WHERE usesysid IS NOT NULL AND datid IS NOT NULL)::int AS used,
      count(*) FILTER (WHERE state LIKE 'idle in transaction%')::int AS idle_in_transaction,
      coalesce(extract(epoch FROM clock_timestamp() - min(xact_start) FILTER (WHERE pid <> pg_backend_pid())), 0)::float8 AS longest_transaction_s
    FROM pg_stat_activity`,
};
