/** A rolling restart takes over a changed ENV_FILE and changed secret files, and refuses a bad one before any worker is touched. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/services';
import { call, eventually, type Running, startChaos, stats } from './support';

const rolled = async (service: Running, id: number) =>
  (
    await eventually('the end of the roll', async () => {
      const { cluster } = await stats(service);
      return cluster.roll.id === id && cluster.roll.state === 'idle' && cluster;
    })
  ).roll.last;

test('HUP after ENV_FILE and a secret file have changed › the new workers have both; a bad file › refused, the old ones serve on', async () => {
  const folder = temporaryFolder('reload');
  const [envFile, tokenFile] = [join(folder, 'env'), join(folder, 'token')];
  const settings = (version: string, more = '') => writeFileSync(envFile, `APP_VERSION=${version}\nOPS_TOKEN_FILE=${tokenFile}\n${more}`);
  settings('one');
  writeFileSync(tokenFile, 'first-token-of-16-and-more');
  // What the environment itself says wins over the file.
  const service = await startChaos({
    env: {
      WORKERS: '1',
      KEEP_ALIVE_TIMEOUT: '1',
      ROLL_CANARY: '0',
      ENV_FILE: envFile,
      APP_VERSION: undefined,
      OPS_TOKEN: undefined,
    },
  });
  const version = async () => (await call(service.url, { path: '/health' })).headers['x-app-version'];
  const opens = async (token: string) =>
    (await call(service.url, { path: '/stats', headers: { authorization: `Bearer ${token}` } })).result;
  expect(await version()).toBe('one');
  expect(await opens('first-token-of-16-and-more')).toBe(200);

  settings('two');
  writeFileSync(tokenFile, 'second-token-of-16-and-more');
  service.kill('SIGHUP');
  expect(await rolled(service, 1)).toMatchObject({ result: 'completed', reason: null });
  expect(await version()).toBe('two');
  expect(await opens('second-token-of-16-and-more')).toBe(200);
  expect(await opens('first-token-of-16-and-more')).not.toBe(200);
  const pids = (await stats(service)).workers.map(({ pid }) => pid);

  settings('three', 'DB_TIMEOUT=soon\n');
  service.kill('SIGHUP');
  const last = await rolled(service, 2);
  expect(last).toMatchObject({ result: 'aborted' });
  expect(last?.reason).toMatch(/configuration is refused.*DB_TIMEOUT/);
  expect((await stats(service)).workers.map(({ pid }) => pid)).toEqual(pids);
  expect(await version()).toBe('two');
  await service.stop();
});
