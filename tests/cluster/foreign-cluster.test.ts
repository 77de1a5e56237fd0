import { startService } from '../support/cluster';
import { temporaryFolder } from '../support/services';
import { eventually } from './support';

test('inside another cluster › serves alone, says ready, drains on the manager’s INT', async () => {
  const service = await startService({
    script: 'dist/tests/cluster/fixtures/foreign-cluster.js',
    env: { WORKERS: '1', DATA_DIR: temporaryFolder('foreign') },
  });
  expect((await service.request('/health')).body).toMatchObject({ status: 'ok', pid: service.banner.pids[0] });
  expect((await service.request('/ready')).body).toMatchObject({ status: 'ready' });
  const token = await eventually('a csrf token', async () => (await service.request('/api/csrf-token')).status === 200);
  expect(token).toBe(true);
  service.kill('SIGTERM');
  expect(await service.waitForExit()).toEqual({ code: 0, signal: null });
});
