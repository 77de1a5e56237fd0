/** Whoever read the service's output is gone: a closed terminal, the other end of a pipe that died. */
import { call, eventually, isAlive, startChaos, stats } from '../cluster/support';

test('the reader of stdout and stderr is gone › the service serves on, supervises on, and stops as asked', async () => {
  const service = await startChaos({ env: { WORKERS: '2' } });
  service.child.stdout?.destroy();
  service.child.stderr?.destroy();

  // Every line of theirs goes through the primary, and into nothing.
  for (let sent = 0; sent < 50; sent += 1) expect((await call(service.url, { path: '/chaos/wait?ms=0' })).result).toBe(200);
  const [victim] = (await stats(service)).workers.filter(({ kind }) => kind === 'http').map(({ pid }) => pid);
  process.kill(victim as number, 'SIGKILL');
  await eventually('its replacement', async () => {
    const { cluster, workers } = await stats(service);
    return cluster.booted_workers === 2 && !workers.some(({ pid }) => pid === victim);
  });
  expect(isAlive(service.pid)).toBe(true);

  service.kill('SIGTERM');
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
});
