/**
 * The job process, forked by the primary beside the HTTP workers and watched like them: it takes jobs from the queue in the
 * database, one at a time, and runs them in the context of whoever enqueued them. Several instances share one queue safely.
 *
 * The queue's own tables belong to the owner and are closed to the service's role, and LISTEN does not pass a
 * transaction-mode pooler: hence the queue is worked with DATABASE_MIGRATION_URL. What the jobs do goes through `lib/db.ts`
 * under the service's role and row-level security, as everywhere. Connections: one for the queue, the rest of the grant for jobs.
 */
import './cluster/parent-watch';

import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type JobHelpers, Logger, parseCronItems, run, type TaskList, type WorkerEvents } from 'graphile-worker';
import { config } from '../config';
import { isFinal, type Job, runJob } from '../jobs/job';
import { mailJobs } from '../jobs/mail.jobs';
import { messagesJobs } from '../jobs/messages.jobs';
import { remindersJobs } from '../jobs/reminders.jobs';
import { retentionJobs } from '../jobs/retention.jobs';
import { sessionsJobs } from '../jobs/sessions.jobs';
import { statementsJobs } from '../jobs/statements.jobs';
import { closeDatabase, openDatabase } from '../lib/db';
import { sslOptions } from '../lib/db-ssl';
import { log } from '../lib/log';
import { closeRedis } from '../lib/redis';
import { setRevocationBus } from '../lib/revocation';
import { connectRevocationRelay } from '../lib/revocation-relay';
import { EXIT, exitCodeOf } from './cluster/exit-codes';
import { connectToPrimary, type PrimaryLink } from './cluster/link';
import { QueueConnection } from './cluster/queue-connection';
import { keepReclaiming } from './cluster/queue-reclaim';
import { watchQueue } from './cluster/queue-watch';
import { startWatchdog } from './cluster/watchdog';
import { rememberSlowQueries } from './ops/slow-queries';
import { installReplyCache } from './reply-cache';

export const JOBS: readonly Job[] = [...mailJobs, ...messagesJobs, ...remindersJobs, ...retentionJobs, ...sessionsJobs, ...statementsJobs];

const QUEUE_CONNECTIONS = 1;
const SCHEDULED_ATTEMPTS = 3;
/** Without a notification the queue is looked at this often: for jobs whose time has come. */
const POLL_MS = 2_000;
/** A job still running when the process stops is given this long, then left to the next process. */
const ABORT_AFTER_MS = 20_000;

/** The library's chatter is for debugging; what went wrong with a job is logged by the job itself. */
const queueLogger = new Logger(() => (level, message) => {
  if (level === 'error') log.warn(message);
  else log.debug(message);
});

/** The library tries again until the attempts are used up, and knows no other way to say that it should not. */
const MAKE_LAST = 'UPDATE graphile_worker._private_jobs SET max_attempts = attempts WHERE id = $1';

/** What of the library's helpers a job needs. */
type Helpers = Pick<JobHelpers, 'query'> & { job: Pick<JobHelpers['job'], 'id' | 'attempts' | 'max_attempts'> };

export const tasksOf = (jobs: readonly Job[]): TaskList =>
  Object.fromEntries(
    jobs.map((job) => [
      job.name,
      async (payload: unknown, { query, job: { id, attempts, max_attempts } }: Helpers) => {
        try {
          await runJob(job, payload, { attempt: attempts, maxAttempts: max_attempts });
        } catch (error) {
          if (isFinal(error)) await query(MAKE_LAST, [id]);
          throw error;
        }
      },
    ]),
  );

export interface Queue {
  /** The library's own events, for example `job:success`. */
  readonly events: EventEmitter;
  /** Settles when the queue is no longer worked: after `close`, or because the library cannot go on. */
  readonly stopped: Promise<void>;
  /** Lets the job that runs finish. Safe to call when the queue has stopped by itself. */
  close(): Promise<void>;
}

/** Works the queue until closed. Resolves when it listens for new jobs and knows the scheduled ones. */
export async function startQueue(url: string, jobs: readonly Job[] = JOBS): Promise<Queue> {
  const events = new EventEmitter();
  const working = Promise.all([once(events, 'pool:listen:success'), once(events, 'cron:started'), firstLook(events)]);
  const connection = new QueueConnection(url, { ssl: sslOptions(url) });
  const workerId = `jobs-${randomUUID()}`;
  const stopReclaiming = await keepReclaiming(connection, workerId);
  const stopWatching = watchQueue(
    connection,
    jobs.filter(({ outgoing }) => outgoing).map(({ name }) => name),
  );
  const scheduled = jobs.filter((job): job is Job & { schedule: string } => job.schedule !== undefined);
  const runner = await run({
    pgPool: connection as never,
    taskList: tasksOf(jobs),
    parsedCronItems: parseCronItems(
      scheduled.map(({ name, schedule, attempts = SCHEDULED_ATTEMPTS }) => ({
        task: name,
        match: schedule,
        options: { backfillPeriod: 0, maxAttempts: attempts },
      })),
    ),
    concurrency: 1,
    // Known to the library, though not to its types for this function.
    ...({ workerId } as object),
    pollInterval: POLL_MS,
    gracefulShutdownAbortTimeout: ABORT_AFTER_MS,
    noHandleSignals: true,
    logger: queueLogger,
    events: events as WorkerEvents,
  });
  let over = false;
  const stopped = runner.promise.finally(() => {
    over = true;
  });
  const close = async (): Promise<void> => {
    stopReclaiming();
    stopWatching();
    if (!over) await runner.stop();
    await connection.end();
  };
  try {
    await Promise.race([working, stopped]);
  } catch (error) {
    await close();
    throw error;
  }
  return { events, stopped, close };
}

/**
 * The library remembers the failure of its first look at the queue for ever, and would never take a job: such a start counts
 * as failed. Later failures heal by themselves.
 */
function firstLook(events: EventEmitter): Promise<void> {
  return new Promise((resolve, reject) => {
    events.once('worker:getJob:empty', () => resolve());
    events.once('job:start', () => resolve());
    events.once('worker:getJob:error', ({ error }: { error: unknown }) => reject(error));
  });
}

/** Runs this process as the job process, until it is told to drain. @param jobs tests add some that misbehave */
export async function runJobProcess(link: PrimaryLink, jobs: readonly Job[] = JOBS): Promise<void> {
  rememberSlowQueries();
  const watchdog = startWatchdog('jobs');
  // Ctrl-C reaches the whole group; only the primary decides when this process goes.
  if (link.connected) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  try {
    const { poolMin, poolMax } = await link.hello();
    const forJobs = Math.max(1, poolMax - QUEUE_CONNECTIONS);
    await openDatabase({
      poolMin: Math.min(poolMin, forJobs),
      poolMax: forJobs,
      name: `autoshop:${process.ppid}:jobs:${process.pid}`,
    });
    setRevocationBus(link.bus);
    installReplyCache(link);
    const disconnect = connectRevocationRelay();
    const { stopped, close } = await startQueue(config.DATABASE_MIGRATION_URL ?? '', jobs);
    let leaving = false;
    const leave = async (code: number): Promise<void> => {
      if (leaving) return;
      leaving = true;
      await close().catch((error: unknown) => log.error('the job queue did not close', { error }));
      disconnect();
      await closeRedis();
      await closeDatabase();
      await link.final();
      process.exit(code);
    };
    link.onDrain(() => void leave(EXIT.ok));
    // The library stops by itself only when it cannot go on; the primary starts another process.
    stopped.then(
      () => leave(EXIT.loadError),
      (error: unknown) => {
        log.error('the job queue stopped', { error });
        return leave(EXIT.loadError);
      },
    );
    watchdog.arm();
    link.ready({ host: '', port: 0 });
    log.info('jobs are being worked', { jobs: jobs.map(({ name }) => name) });
  } catch (error) {
    const code = exitCodeOf(error);
    log.error('the job process cannot start', { code, error });
    await link.failed(code, error instanceof Error ? error.message : String(error));
    process.exit(code);
  }
}

if (require.main === module) void runJobProcess(connectToPrimary());
