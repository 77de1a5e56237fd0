/** K2, K7 and K8: the start of a worker, of many workers that die, and of the whole service. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually, reserveOf, startChaos, stats } from '../cluster/support';
import { AS_SHIPPED, type Service, type ServiceOptions, spawnService } from '../support/cluster';
import { criterion, isFull, limit } from '../support/criterion';
import { failureLine, failures } from '../support/paced-load';
import { connectionsOf } from '../support/processes';
import { temporaryFolder } from '../support/services';
import { postLoad } from './under-load';

const BOOT_TIMEOUT = 20;

criterion('K2', 'a worker that never says ready', async (measure) => {
  const dataDir = temporaryFolder('silent');
  const service = await startChaos({
    env: { DATA_DIR: dataDir, BOOT_TIMEOUT: String(BOOT_TIMEOUT) },
  });
  writeFileSync(join(dataDir, 'silent'), '');
  const load = postLoad(service);
  const victim = service.banner.pids[0] as number;
  process.kill(victim, 'SIGKILL');
  const silent = await eventually('a worker that boots', async () =>
    (await stats(service)).workers.find(({ state }) => state === 'forked'),
  );
  const from = performance.now();
  const port = Number(new URL(service.url).port);
  const [, other] = service.banner.pids as [number, number];
  let most = 0;
  let mostOfOther = 0;
  const exit = await eventually('its end', async () => {
    const { workers, cluster } = await stats(service);
    const now = workers.find(({ pid }) => pid === silent.pid);
    most = Math.max(most, connectionsOf(silent.pid, port), now?.requests_count ?? 0);
    mostOfOther = Math.max(mostOfOther, connectionsOf(other, port));
    return cluster.last_exit?.pid === silent.pid && cluster.last_exit;
  });
  const seconds = (performance.now() - from) / 1000;
  const outcomes = await load.stop();
  measure('0 connections', `${most}, up to ${mostOfOther} in one that serves`, most === 0 && mostOfOther > 0);
  measure(
    'killed within boot_timeout + 1 s',
    `${seconds.toFixed(1)} s of ${BOOT_TIMEOUT}`,
    exit.reason === 'boot_timeout' && seconds <= BOOT_TIMEOUT + limit(1_000) / 1000,
  );
  measure('its last output is in /stats', exit.stderr_tail.join(' | '), exit.stderr_tail.includes('loading, and never done with it'));
  // The requests that the killed worker had in hand are lost; those of the silent one would hang till the client gives up.
  const hung = outcomes.filter(([, , result]) => result === 'timeout');
  measure('0 requests wait for it', `${hung.length} of ${outcomes.length}`, hung.length === 0 && outcomes.length > 0);
  await service.stop();
});

criterion('K7', 'a build that starts to crash at boot', async (measure) => {
  const dataDir = temporaryFolder('crash-loop');
  const service = await startChaos({ env: { ...AS_SHIPPED, DATA_DIR: dataDir } });
  await reserveOf(service);
  writeFileSync(join(dataDir, 'broken'), '');
  const [healthy, ...others] = service.banner.pids as [number, ...number[]];
  const from = performance.now();
  for (const pid of others) process.kill(pid, 'SIGKILL');
  const load = postLoad(service, 20);
  /** Everything that was forked and died of the build; the workers that were killed are not of it. */
  const deaths = () =>
    service
      .events()
      .filter(
        ({ message, worker_pid: pid }) =>
          (message === 'worker died' || message === 'the worker in reserve died') && !others.includes(pid as number),
      )
      .map(({ at }) => Date.parse(String(at)) - Date.now() + performance.now() - from);
  // On a busy machine the deaths that open the breaker take longer.
  const [firstMs, thenMs] = isFull() ? [30_000, 60_000] : [60_000, 30_000];
  await delay(firstMs + thenMs);
  const outcomes = await load.stop();
  // Ending the load took time as well.
  const times = deaths().filter((ms) => ms <= firstMs + thenMs);
  const early = times.filter((ms) => ms <= firstMs).length;
  const late = times.length - early;
  measure(`<= 12 forks in the first ${firstMs / 1000} s`, early, early > 0 && early <= 12);
  measure('then <= 2 a minute', `${late} in ${thenMs / 1000} s`, late <= (2 * thenMs) / 60_000);
  const alive = (await stats(service)).workers.some(({ pid, state }) => pid === healthy && state === 'ready');
  measure('a healthy slot serves: 0 failed', failureLine(outcomes), alive && outcomes.length > 0 && failures(outcomes).length === 0);
  measure('the breaker says so', (await stats(service)).cluster.state, (await stats(service)).cluster.state === 'breaker_open');
  await service.stop();
});

criterion('K8', 'a first start that fails', async (measure) => {
  const fails = async (what: string, wanted: number, words: RegExp, options: ServiceOptions) => {
    const env = { DATA_DIR: temporaryFolder('start'), BOOT_TIMEOUT: String(BOOT_TIMEOUT), WORKERS: '2', ...options.env };
    const from = performance.now();
    const service = await spawnService({ script: 'dist/tests/cluster/fixtures/primary.js', ...options, env });
    const { code } = await service.waitForExit(BOOT_TIMEOUT * 1_000 + limit(2_000));
    const seconds = (performance.now() - from) / 1000;
    const last = service.lines().findLast((line) => line.trim() !== '') ?? '';
    measure(
      `${what}: exit ${wanted} < boot_timeout + 2 s, reason in the last line`,
      `${code} in ${seconds.toFixed(1)} s: ${brief(last)}`,
      code === wanted && words.test(last),
    );
  };
  const nobody = 'postgres://nobody:nothing@127.0.0.1:1/nothing';
  await fails('database down', 75, /database/i, { database: null, env: { DATABASE_URL: nobody, DATABASE_MIGRATION_URL: nobody } });
  await fails('bad configuration', 78, /WORKERS/, { env: { WORKERS: 'many' } });
  await fails('the application does not load', 70, /cannot start/, { args: ['--worker', 'broken-worker'] });
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  await fails('port in use', 71, /in use/, { env: { HOST: '127.0.0.1', PORT: String(port) } });
  taken.close();
});

criterion('K8', 'all workers lost after the service was ready', async (measure) => {
  const dataDir = temporaryFolder('lost');
  const service: Service & { banner: { pids: number[] } } = await startChaos({
    env: { DATA_DIR: dataDir, WORKERS: '2' },
  });
  writeFileSync(join(dataDir, 'broken'), '');
  for (const pid of service.banner.pids) process.kill(pid, 'SIGKILL');
  const { status } = await eventually('not ready', async () => {
    const answer = await service.ops<{ ready?: boolean }>('/ready');
    return answer.status === 503 && answer;
  });
  measure('the primary lives, /ready 503', `${service.isRunning ? 'lives' : 'ended'}, ${status}`, service.isRunning && status === 503);
  await service.stop();
});

const brief = (line: string): string => line.replace(/.*"message":"([^"]*)".*/, '$1').slice(0, 80);
