/**
 * What the job process knows of the queue: how much waits, how long, how much failed for good. Read from the library's own view
 * every few seconds over the queue's one connection, and carried to the primary by the next report. The queue is the database's,
 * shared by every instance, so each instance tells the same figures.
 *
 * The wait of a job is counted from the moment it was first due: the library moves `run_at` with every failure by e^attempts
 * seconds, which is taken back here, else a message that fails for hours would look seconds old.
 */
import { log } from '../../lib/log';
import type { QueueReport } from './messages';

const EVERY_MS = 2_000;

interface Source {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>;
}

/**
 * `$1`: the tasks that leave the house. A job in its last attempt is locked and not yet dead. A job for later (a reminder, a text
 * that waits for the morning) is part of the depth, but has no age before its time.
 */
const QUEUE_FIGURES = `
  WITH delays AS (
    SELECT n AS failures, coalesce(sum(exp(least(k, 10))) FILTER (WHERE k > 0), 0) * interval '1 second' AS total
    FROM generate_series(0, 40) n, LATERAL generate_series(0, n) k GROUP BY n
  ), jobs AS (
    SELECT j.task_identifier = ANY ($1::text[]) AS outgoing, j.attempts >= j.max_attempts AND j.locked_at IS NULL AS dead,
      j.attempts - (j.locked_at IS NOT NULL)::int AS failures, j.run_at
    FROM graphile_worker.jobs j
  ), aged AS (
    SELECT outgoing, dead, failures, CASE WHEN NOT dead THEN extract(epoch FROM now() - (run_at - d.total)) END AS age
    FROM jobs LEFT JOIN delays d USING (failures)
  )
  SELECT count(*) FILTER (WHERE NOT dead)::int AS depth,
    count(*) FILTER (WHERE NOT dead AND failures > 0)::int AS retries,
    count(*) FILTER (WHERE dead)::int AS dead,
    coalesce(max(age) FILTER (WHERE age > 0), 0)::float8 AS oldest_s,
    count(*) FILTER (WHERE outgoing AND NOT dead)::int AS outbox_pending,
    count(*) FILTER (WHERE outgoing AND dead)::int AS outbox_failed,
    coalesce(max(age) FILTER (WHERE outgoing AND age > 0), 0)::float8 AS outbox_oldest_s
  FROM aged`;

type Figures = Omit<QueueReport, 'read_at'>;

/** The figures of this moment. */
export async function readQueue(source: Source, outgoing: readonly string[]): Promise<Figures> {
  const { rows } = await source.query(QUEUE_FIGURES, [outgoing]);
  return rows[0] as Figures;
}

let latest: QueueReport | null = null;

/** What was read last; null in a process that does not watch the queue. */
export const queueReport = (): QueueReport | null => latest;

/** Reads now, and again every two seconds. A round that fails leaves the older figures, whose age shows. @returns what ends it */
export function watchQueue(source: Source, outgoing: readonly string[]): () => void {
  let reading = false;
  const read = (): void => {
    if (reading) return;
    reading = true;
    readQueue(source, outgoing)
      .then((figures) => {
        latest = { ...figures, read_at: new Date().toISOString() };
      })
      // The library reports a lost connection itself; the next round tries again.
      .catch((error: unknown) => log.debug('the queue could not be counted', { error }))
      .finally(() => {
        reading = false;
      });
  };
  read();
  const timer = setInterval(read, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
