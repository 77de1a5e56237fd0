/** K21: the control socket and its command. */
import { statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ctl, ctlJson } from '../cluster/ctl';
import { eventually, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { criterion, limit } from '../support/criterion';
import { temporaryFolder } from '../support/services';

const STARTS_IN_MS = 500;

criterion('K21', 'control: private, every failure has an exit code, one roll at a time', async (measure) => {
  const dataDir = temporaryFolder('k21');
  const service = await startChaos({
    env: {
      ...AS_SHIPPED,
      WORKERS: '4',
      DATA_DIR: dataDir,
      MAX_REQUESTS: '0',
      BOOT_TIMEOUT: '90',
      ROLL_CANARY: '1',
      KEEP_ALIVE_TIMEOUT: '1',
    },
  });
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8);
  const place = `${mode(service.controlSocket)} in ${mode(dirname(service.controlSocket))}`;
  measure('socket 600 in a folder 700', place, place === '600 in 700');

  const started = performance.now();
  await ctl(service, 'status');
  const ms = Math.round(performance.now() - started);
  measure(`\`ctl status\` within ${limit(STARTS_IN_MS)} ms`, `${ms} ms`, ms <= limit(STARTS_IN_MS));

  const bad = [['scale'], ['scale', '0'], ['recycle', 'x'], ['drain', '99'], ['maintenance', 'x'], ['log-level', 'x'], ['nonsense'], []];
  const refused = await Promise.all(bad.map(async (argv) => (await ctl(service, ...argv)).code));
  measure(
    'every bad command exits non-zero',
    refused.join(', '),
    refused.every((code) => code !== 0 && code !== null),
  );

  const first = ctlJson<{ roll: number }>(service, 'roll', '--wait');
  await eventually('the roll', async () => (await stats(service)).cluster.roll.state !== 'idle');
  const second = await ctl(service, 'roll');
  const { code, result } = await first;
  const named = second.stderr.includes(`rolling restart ${result.roll} is under way`);
  measure('a second roll is refused with the id of the first', second.stderr.trim(), second.code !== 0 && named && code === 0);

  const { pid } = await ctlJson(service, 'recycle', '1');
  const lines = service
    .events()
    .filter(({ by_pid }) => by_pid === pid)
    .map(({ message }) => message);
  measure('every act is audited', lines.join(', '), lines.includes('control: asked') && lines.includes('control: done'));

  writeFileSync(join(dataDir, 'broken'), '');
  const broken = [(await ctl(service, 'roll')).code, (await ctl(service, 'recycle', '2')).code];
  const ready = (await stats(service)).cluster.booted_workers;
  measure(
    'a broken roll and recycle exit non-zero, 4 workers serve',
    `${broken.join(', ')}; ${ready}`,
    broken.every((one) => one !== 0) && ready === 4,
  );

  const stop = await ctl(service, 'stop');
  const after = await ctl(service, 'status');
  measure('stop exits 0, afterwards status exits non-zero', `${stop.code}, ${after.code}`, stop.code === 0 && after.code !== 0);
});
