-- What the database's statements cost: pg_stat_statements counts since its last reset, these tables hold differences. About the
-- service, not about a shop: no tenant, no literal, hence no row-level security.

-- The counters as they were read last; deltas are taken against them.
CREATE TABLE statement_counters (
  queryid bigint CONSTRAINT statement_counters_pk PRIMARY KEY,
  calls bigint NOT NULL,
  total_ms double precision NOT NULL,
  rows bigint NOT NULL,
  counted_at timestamptz NOT NULL
);

-- The statements that took the most time in the five minutes before sampled_at.
CREATE TABLE statement_profiles (
  sampled_at timestamptz NOT NULL,
  queryid bigint NOT NULL,
  fingerprint text NOT NULL,
  calls bigint NOT NULL CONSTRAINT statement_profiles_calls_check CHECK (calls > 0),
  total_ms double precision NOT NULL,
  mean_ms double precision NOT NULL GENERATED ALWAYS AS (total_ms / calls) STORED,
  rows bigint NOT NULL,
  -- Median of the means of the seven days before; null while there are too few.
  baseline_ms double precision,
  is_regression boolean NOT NULL DEFAULT false,
  CONSTRAINT statement_profiles_pk PRIMARY KEY (sampled_at, queryid)
);
CREATE INDEX statement_profiles_queryid_idx ON statement_profiles (queryid, sampled_at);

GRANT SELECT, INSERT, DELETE ON statement_counters, statement_profiles TO autoshop_app;
