/** K17: the log file of several workers while it is rotated under them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { oldFiles } from '../../server/cluster/log-rotation';
import { call, startChaos, stats } from '../cluster/support';
import { counts, criterion } from '../support/criterion';
import { temporaryFolder } from '../support/services';

const WORKERS = 4;
const LINE_BYTES = 2_048;
const ROTATIONS = 5;
/** What a line has beside its filling: time, level, names, request id. */
const FRAME_BYTES = 300;

criterion('K17', 'lines of four workers, rotated five times while they write', async (measure) => {
  const perWorker = counts(50_000);
  const folder = temporaryFolder('logs');
  const megabytes = Math.max(1, Math.floor((WORKERS * perWorker * LINE_BYTES) / (2 * ROTATIONS) / 2 ** 20));
  const service = await startChaos({
    env: {
      WORKERS: String(WORKERS),
      LOG_DIR: folder,
      LOG_CONSOLE: 'false',
      LOG_MAX_MB: String(megabytes),
      LOG_KEEP: '100',
      MAX_REQUESTS: '0',
      REQUEST_TIMEOUT: '600',
    },
  });
  const path = join(folder, 'autoshop.log');
  // A connection goes to another worker while one is at work; the size is looked at each second, however fast they write. So ask until
  // all have taken part and the file was rotated often enough.
  const pids = (await stats(service)).workers.filter(({ kind }) => kind === 'http').map(({ pid }) => pid);
  const written = new Map<number, number>();
  while (written.size < pids.length || oldFiles(path).length < ROTATIONS) {
    const calls = Array.from({ length: WORKERS }, () =>
      call(service.url, { path: `/chaos/log?lines=${perWorker}&size=${LINE_BYTES - FRAME_BYTES}`, timeoutMs: 600_000 }),
    );
    for (const { body } of await Promise.all(calls)) {
      const { pid } = JSON.parse(body) as { pid: number };
      written.set(pid, (written.get(pid) ?? 0) + 1);
    }
  }
  expect(await service.stop()).toEqual({ code: 0, signal: null });

  const files = [path, ...oldFiles(path).map((old) => old.path)];
  let torn = 0;
  const seen = new Map<string, number>();
  for (const file of files) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      if (line === '') continue;
      try {
        const { message, mark } = JSON.parse(line) as { message: string; mark?: string };
        if (message === 'chaos line' && mark) seen.set(mark, (seen.get(mark) ?? 0) + 1);
      } catch {
        torn += 1;
      }
    }
  }
  let lost = 0;
  let doubled = 0;
  for (const [pid, times] of written)
    for (let line = 0; line < perWorker; line += 1) {
      const count = seen.get(`${pid}:${line}`) ?? 0;
      lost += Math.max(0, times - count);
      doubled += Math.max(0, count - times);
    }
  measure(
    `${WORKERS} workers x ${perWorker} lines of 2 KB, rotated >= ${ROTATIONS} times: 0 torn, 0 lost, 0 doubled`,
    `rotated ${files.length - 1} times: ${torn} torn, ${lost} lost, ${doubled} doubled`,
    files.length > ROTATIONS && torn === 0 && lost === 0 && doubled === 0,
  );
});
