/** K18: a job of every minute, with several job processes on one database and two of them killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { eventually } from '../cluster/support';
import { closeLater } from '../support/closers';
import { counts, criterion } from '../support/criterion';
import { admin } from '../support/database';

const PROCESSES = 4;
/** A minute of the processes' clock takes a second. */
const SPEED = 60;
const MINUTE_MS = 60_000;
const FIXTURES = join(PROJECT_ROOT, 'dist/tests/criteria/fixtures');

interface Tick {
  minute: Date;
  pid: number;
}
const ticks = (): Promise<Tick[]> => admin<Tick>('SELECT minute, pid FROM criteria_ticks ORDER BY minute, at');

criterion('K18', 'a job of every minute while job processes are killed', async (measure) => {
  // A tenth would be too few to kill between.
  const minutes = Math.max(counts(60), 15);
  await admin(
    'CREATE TABLE criteria_ticks (minute timestamptz NOT NULL, pid int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())',
  );
  await admin('GRANT SELECT, INSERT ON criteria_ticks TO autoshop_app');
  const clock = {
    CLOCK_REAL_START: String(Date.now()),
    CLOCK_START: String(Date.now() - (minutes + 60) * MINUTE_MS),
    CLOCK_SPEED: String(SPEED),
  };
  const processes: ChildProcess[] = [];
  const start = async (): Promise<void> => {
    const child = spawn(process.execPath, ['--require', join(FIXTURES, 'fast-clock.js'), join(FIXTURES, 'ticker.js')], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...clock },
    });
    processes.push(child);
    closeLater(() => child.kill('SIGKILL'));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
  };
  await Promise.all(Array.from({ length: PROCESSES }, start));

  for (const part of [1 / 3, 2 / 3]) {
    const last = await eventually(
      'ticks',
      async () => {
        const done = await ticks();
        return done.length >= minutes * part && done.at(-1);
      },
      10 * MINUTE_MS,
    );
    // The one that did the last tick is the one that would do something twice.
    const leader = processes.find(({ pid }) => pid === last.pid);
    leader?.kill('SIGKILL');
    await start();
  }
  const done = await eventually(
    'the last tick',
    async () => {
      const all = await ticks();
      return all.length >= minutes && all;
    },
    10 * MINUTE_MS,
  );

  const times = new Map<number, number>();
  for (const { minute } of done) times.set(minute.getTime(), (times.get(minute.getTime()) ?? 0) + 1);
  const [first = 0, last = 0] = [Math.min(...times.keys()), Math.max(...times.keys())];
  const expected = (last - first) / MINUTE_MS + 1;
  const doubled = [...times.values()].filter((count) => count > 1).length;
  const missed = expected - times.size;
  const [dead] = await admin<{ count: number }>(
    "SELECT count(*)::int AS count FROM graphile_worker.jobs WHERE task_identifier = 'criteria.tick' AND attempts >= max_attempts AND locked_at IS NULL",
  );
  const reported = dead?.count ?? 0;
  measure(
    `${PROCESSES} processes, ${minutes} ticks, the last one's process killed twice: each tick once or reported missed, none twice`,
    `${times.size} of ${expected} ticks, ${doubled} twice, ${missed} missed, ${reported} reported`,
    times.size >= minutes - reported && doubled === 0 && missed <= reported,
  );
});
