/**
 * The job process, forked by the primary beside the HTTP workers and watched like them: it takes jobs from the queue in the
 * database, one at a time, and runs them in the context of whoever enqueued them. Several instances share one queue safely.
 *
 * The queue's own tables belong to the owner and are closed to the service's role, and LISTEN does not pass a
 * transaction-mode pooler: hence the queue is worked with DATABASE_MIGRATION_URL. What the jobs do goes through `lib/db.ts`
 * under the service's role and row-level security, as everywhere. Connections: one for the queue, the rest of the grant for jobs.
 */
import { Logger, parseCronItems, type Runner, run, type TaskList } from 'graphile-worker';
import { config } from '../config';
import { type Job, runJob } from '../jobs/job';
import { mailJobs } from '../jobs/mail.jobs';
import { sessionsJobs } from '../jobs/sessions.jobs';
import { closeDatabase, openDatabase } from '../lib/db';
import { sslOptions } from '../lib/db-ssl';
import { log } from '../lib/log';
import { setRevocationBus } from '../lib/revocation';
import { EXIT, exitCodeOf } from './cluster/exit-codes';
import { connectToPrimary, type PrimaryLink } from './cluster/link';
import { QueueConnection } from './cluster/queue-connection';

export const JOBS: readonly Job[] = [...mailJobs, ...sessionsJobs];

const QUEUE_CONNECTIONS = 1;
/** Without a notification the queue is looked at this often: for jobs whose time has come. */
const POLL_MS = 2_000;
/** A job still running when the process stops is given this long, then left to the next process. */
const ABORT_AFTER_MS = 20_000;

/** The library's chatter is for debugging; what went wrong with a job is logged by the job itself. */
const queueLogger = new Logger(() => (level, message) => {
  if (level === 'error') log.warn(message);
  else log.debug(message);
});

export const tasksOf = (jobs: readonly Job[]): TaskList =>
  Object.fromEntries(
    jobs.map((job) => [
      job.name,
      (payload: unknown, { job: { attempts, max_attempts } }: { job: { attempts: number; max_attempts: number } }) =>
        runJob(job, payload, { attempt: attempts, maxAttempts: max_attempts }),
    ]),
  );

/** Works the queue until stopped. Resolves when it listens. */
export async function startQueue(url: string, jobs: readonly Job[] = JOBS): Promise<{ runner: Runner; close: () => Promise<void> }> {
  const connection = new QueueConnection({ connectionString: url, ssl: sslOptions() });
  const scheduled = jobs.filter((job): job is Job & { schedule: string } => job.schedule !== undefined);
  const runner = await run({
    pgPool: connection as never,
    taskList: tasksOf(jobs),
    parsedCronItems: parseCronItems(
      scheduled.map(({ name, schedule }) => ({ task: name, match: schedule, options: { backfillPeriod: 0, maxAttempts: 3 } })),
    ),
    concurrency: 1,
    pollInterval: POLL_MS,
    gracefulShutdownAbortTimeout: ABORT_AFTER_MS,
    noHandleSignals: true,
    logger: queueLogger,
  });
  return {
    runner,
    close: async () => {
      await runner.stop();
      await connection.end();
    },
  };
}

async function main(link: PrimaryLink): Promise<void> {
  // Ctrl-C reaches the whole group; only the primary decides when this process goes.
  if (link.connected) for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  try {
    const { poolMin, poolMax } = await link.hello();
    const forJobs = Math.max(1, poolMax - QUEUE_CONNECTIONS);
    await openDatabase({ poolMin: Math.min(poolMin, forJobs), poolMax: forJobs });
    setRevocationBus(link.bus);
    const { runner, close } = await startQueue(config.DATABASE_MIGRATION_URL ?? '');
    let leaving = false;
    const leave = async (code: number): Promise<void> => {
      if (leaving) return;
      leaving = true;
      await close().catch((error: unknown) => log.error('the job queue did not close', { error }));
      await closeDatabase();
      await link.final();
      process.exit(code);
    };
    link.onDrain(() => void leave(EXIT.ok));
    // The library stops by itself only when it cannot go on; the primary starts another process.
    runner.promise.then(
      () => leave(EXIT.loadError),
      (error: unknown) => {
        log.error('the job queue stopped', { error });
        return leave(EXIT.loadError);
      },
    );
    link.ready({ host: '', port: 0 });
    log.info('jobs are being worked', { jobs: JOBS.map(({ name }) => name) });
  } catch (error) {
    const code = exitCodeOf(error);
    log.error('the job process cannot start', { code, error });
    await link.failed(code, error instanceof Error ? error.message : String(error));
    process.exit(code);
  }
}

if (require.main === module) void main(connectToPrimary());
