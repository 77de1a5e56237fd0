/** What is run once before the first worker, and before each roll: it ends, or is ended. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Step, Steps } from '../../../server/cluster/boot';

const folder = mkdtempSync(join(tmpdir(), 'autoshop-steps-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PID_FILE = join(folder, 'pid');
let scripts = 0;

/** A step that leaves its pid and then does what `source` says. */
const step = (source: string, limits: Pick<Step, 'limitMs' | 'loadLimitMs'>): Step => {
  scripts += 1;
  const script = join(folder, `${scripts}.js`);
  writeFileSync(script, `require('node:fs').writeFileSync(${JSON.stringify(PID_FILE)}, String(process.pid));\n${source}`);
  return { what: 'the step', script, env: {}, ...limits };
};

async function isGone(): Promise<boolean> {
  const pid = Number(readFileSync(PID_FILE, 'utf8'));
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await delay(50);
  }
  return false;
}

test('one that never ends › killed after its limit, 70 with its last words; the next one is run', async () => {
  const steps = new Steps();
  const endless = step("console.log('waiting for the lock'); setInterval(() => undefined, 1_000);", { limitMs: 2_000 });
  await expect(steps.run(endless)).rejects.toMatchObject({
    name: 'BootFailure',
    exitCode: 70,
    message: 'the step failed: it was not done within 2 s (waiting for the lock)',
  });
  expect(await isGone()).toBe(true);
  await expect(steps.run(step('', { limitMs: 20_000 }))).resolves.toBeUndefined();
});

test('one that never has loaded › killed after the time for that, whatever it may take as a whole', async () => {
  const stuck = step('for (;;);', { limitMs: 60_000, loadLimitMs: 2_000 });
  await expect(new Steps().run(stuck)).rejects.toMatchObject({ exitCode: 70, message: 'the step failed: it had not loaded within 2 s' });
  expect(await isGone()).toBe(true);
});

test('one that says that it has loaded › may take longer than that for the rest, and fails in its own words', async () => {
  const source = "process.send('loaded'); setTimeout(() => { console.error('no table'); process.exitCode = 75; }, 2_300);";
  await expect(new Steps().run(step(source, { limitMs: 60_000, loadLimitMs: 2_000 }))).rejects.toMatchObject({
    exitCode: 75,
    message: 'the step failed: the database is unreachable (no table)',
  });
});
