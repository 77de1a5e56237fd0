/**
 * Jobs of job processes that died at work. The job library leaves such a job locked for four hours; here it is free again within
 * seconds. Each process shows that it lives by a session lock on its queue connection, which the server releases when the process
 * is gone, however it ended. Jobs locked by somebody without such a lock are unlocked and taken by whoever comes next.
 *
 * A process whose queue connection breaks while a job runs looks dead until it has connected again, so that job may be run twice:
 * which every job must bear.
 */
import { log } from '../../lib/log';
import type { QueueConnection } from './queue-connection';

const EVERY_MS = 2_000;
/** First half of the key of our advisory locks, "jobs" as a number; the second half comes from the worker's name. */
const LOCK_CLASS = 0x6a6f6273;

const SHOW_LIFE = `SELECT pg_advisory_lock(${LOCK_CLASS}, hashtext($1))`;
const RECLAIM = `WITH lost AS (
    SELECT DISTINCT locked_by FROM graphile_worker._private_jobs j
    WHERE locked_by LIKE 'jobs-%' AND locked_by <> $1 AND NOT EXISTS (
      SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND d.datname = current_database()
        AND l.classid = ${LOCK_CLASS}::oid AND l.objid::bigint = (hashtext(j.locked_by)::bigint & 4294967295)))
  SELECT graphile_worker.force_unlock_workers(array_agg(locked_by)), count(*)::int AS workers FROM lost HAVING count(*) > 0`;

/** Shows that `workerId` lives, and frees the jobs of those that do not, now and every two seconds. @returns what ends it */
export async function keepReclaiming(connection: QueueConnection, workerId: string): Promise<() => void> {
  // The lock goes with the connection, so each new one takes it again, before anything else is sent on it.
  connection.on('connect', (client: { query: (text: string, values: unknown[]) => Promise<unknown> }) => {
    client.query(SHOW_LIFE, [workerId]).catch((error: unknown) => log.warn('the job process could not show that it lives', { error }));
  });
  const reclaim = async (): Promise<void> => {
    const { rows } = await connection.query(RECLAIM, [workerId]);
    if (rows.length > 0) log.warn('jobs of a dead job process were taken back', { processes: (rows[0] as { workers: number }).workers });
  };
  let running = false;
  const timer = setInterval(() => {
    // The library reports a lost connection itself; the next round tries again.
    if (running) return;
    running = true;
    reclaim()
      .catch((error: unknown) => log.debug('looking for abandoned jobs failed', { error }))
      .finally(() => {
        running = false;
      });
  }, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
