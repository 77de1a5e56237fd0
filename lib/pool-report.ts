/** What a process says of its connections to the primary server and to each replica. Types only. */

export interface PoolReport {
  min: number;
  max: number;
  /** Open connections, those that are being opened or closed included. */
  size: number;
  idle: number;
  busy: number;
  waiting: number;
}

/** A read replica, as one process sees it. */
export interface ReplicaReport {
  /** Label of its metrics. */
  name: string;
  status: 'up' | 'down';
  /** Milliseconds of the last look, null while it is down. */
  latency: number | null;
  /** Seconds by which its newest data may be old at most, null while that is not known. */
  lag_s: number | null;
  pool: PoolReport;
}
