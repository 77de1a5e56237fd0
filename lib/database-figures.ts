/** What the database server says of itself, as one worker of an instance reads it for `/stats`. Types only. */

/** `absent`: the database has no pg_stat_statements; `not_loaded`: the server does not load it (`shared_preload_libraries`). */
export type ProfilerStatus = 'up' | 'absent' | 'not_loaded';

/** The block `db.server` of /stats. */
export interface ServerFigures {
  max_connections: number;
  used: number;
  idle_in_transaction: number;
  longest_transaction_s: number;
}

/** One line of the block `db.top`; milliseconds. */
export interface CostlyStatement {
  queryid: string;
  fingerprint: string;
  calls: number;
  mean: number;
  total: number;
  rows: number;
}

export interface DatabaseFigures {
  server: ServerFigures;
  profiler: ProfilerStatus;
  /** ISO time of the end of the last profile; null before the first. */
  sampled_at: string | null;
  top: CostlyStatement[];
  regressions: { queryid: string; fingerprint: string; mean: number; baseline: number }[];
}
