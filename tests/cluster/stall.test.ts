/** Event loops that stand still: reported at once with the request that stopped them, no new connections, evidence, and the end. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Stall } from '../../server/cluster/stalls';
import { temporaryFolder } from '../support/services';
import { routeOf, STALLS, type StallName } from './fixtures/stalls';
import { call, eventually, type Running, startChaos, stats, tally } from './support';

const names = Object.keys(STALLS) as StallName[];
const folder = temporaryFolder('stalls');
let service: Running;
beforeAll(async () => {
  service = await startChaos({ env: { WORKERS: '2', DATA_DIR: folder } });
});
afterAll(() => service.stop());

interface Evidence {
  kind: string;
  request: { id: string; route: string; age: number; source: string } | null;
  in_flight: { count: number; oldest: unknown[] };
  stack: { function: string }[] | null;
  hot?: { function: string }[];
  profile?: { nodes: unknown[] };
  native: { states: Record<string, number>; wchan: string | null };
}

const read = (path: string): Evidence => JSON.parse(readFileSync(path, 'utf8')) as Evidence;

test.each(names)(
  '%s for 4 s › reported while it lasts, healed with a warning; the evidence names request, route and what ran',
  async (name) => {
    const id = crypto.randomUUID();
    const stalled = call(service.url, { path: `/chaos/stall/${name}?ms=4000`, headers: { 'X-Request-Id': id }, timeoutMs: 60_000 });
    const during = await eventually('a stalled worker', async () => {
      const now = await stats(service);
      return now.cluster.stalled === 1 && now.workers.find(({ stalls }) => stalls?.last?.request_id === id);
    });
    expect(during.stalls?.last).toMatchObject({ route: routeOf(name) });
    expect((await stalled).result).toBe(200);
    const healed = await service.waitFor('the end of the stall', () =>
      service.events().find(({ message, request_id }) => message === 'event loop was blocked' && request_id === id),
    );
    expect(healed).toMatchObject({ level: 'warn', route: routeOf(name), process: 'http' });
    const record = await eventually('evidence', async () => {
      const { workers } = await stats(service);
      const last = workers.find(({ pid }) => pid === healed['worker_pid'])?.stalls?.last;
      return last?.artefact ? last : undefined;
    });
    const { kinds, guilty } = STALLS[name];
    expect(kinds).toContain(record.kind);
    const evidence = read(record.artefact as string);
    expect(statSync(record.artefact as string).mode & 0o777).toBe(0o600);
    expect(evidence.request).toMatchObject({ id, route: routeOf(name), source: guilty ? 'context' : 'ran_last' });
    expect(evidence.in_flight.count).toBeGreaterThanOrEqual(1);
    if (guilty) {
      expect(evidence.stack?.some((frame) => frame.function === guilty)).toBe(true);
      expect(record.stack.some((frame) => frame.startsWith(`${guilty} (dist/tests/cluster/fixtures/stalls.js:`))).toBe(true);
      // It is added when it is done.
      await eventually('a profile', async () => (read(record.artefact as string).profile?.nodes.length ?? 0) > 0);
    } else {
      expect(Object.values(evidence.native.states).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
    }
    const { cluster } = await eventually('rest', async () => {
      const now = await stats(service);
      return now.cluster.stalled === 0 && now;
    });
    expect(cluster.restarts.total).toBe(0);
  },
);

test('evidence › holds no value of a local variable, query or header', async () => {
  const marker = 'marker-4c1f';
  await call(service.url, { path: `/chaos/stall/loop?ms=2000&${marker}=1`, headers: { Authorization: `Bearer ${marker}` } });
  await eventually('its evidence', async () => (await stats(service)).cluster.stalled === 0);
  for (const name of readdirSync(join(folder, 'evidence')))
    expect(readFileSync(join(folder, 'evidence', name), 'utf8')).not.toContain(marker);
});

test('a worker that stands still for more than a second › others take every new connection, and it takes its share again afterwards', async () => {
  let isOver = false;
  const stalled = call(service.url, { path: '/chaos/stall/wait?ms=10000', timeoutMs: 60_000 }).finally(() => {
    isOver = true;
  });
  await eventually('a stuck worker', async () =>
    (await stats(service)).workers.some(
      ({ stalls }) => stalls?.last && stalls.last.ms >= 1_000 && stalls.last.ms < 10_000 && stalls.last.route === routeOf('wait'),
    ),
  );
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => call(service.url, { path: '/chaos/wait?ms=1' })));
  expect(isOver).toBe(false);
  const { body, result } = await stalled;
  expect(result).toBe(200);
  const victim = (JSON.parse(body) as { data: { pid: number } }).data.pid;
  expect(tally(outcomes)).toEqual({ 200: 20 });
  expect(outcomes.filter(({ body: text }) => (JSON.parse(text) as { pid: number }).pid === victim)).toEqual([]);
  await eventually('an answer of the healed worker', async () => {
    const { body: text } = await call(service.url, { path: '/chaos/wait?ms=1' });
    return (JSON.parse(text) as { pid: number }).pid === victim;
  });
});

test('a job that stands still › reported with its name, killed after WORKER_TIMEOUT; another process takes its place, and the service serves', async () => {
  const own = await startChaos({
    args: ['--jobs', 'chaos-jobs'],
    env: { WORKERS: '1', DATA_DIR: temporaryFolder('stalled-job'), WORKER_TIMEOUT: '8', JOBS: 'true' },
  });
  const jobs = async () => (await stats(own)).workers.find(({ kind, state }) => kind === 'jobs' && state === 'ready');
  const victim = await eventually('the job process', jobs);
  const queue = new pg.Client({ connectionString: own.database?.migrationUrl });
  await queue.connect();
  const requestId = crypto.randomUUID();
  await queue.query(`SELECT graphile_worker.add_job('chaos.stall', $1, max_attempts => 1)`, [JSON.stringify({ requestId, ms: 60_000 })]);
  await queue.end();
  const silent = await own.waitFor('the kill', () =>
    own.events().find(({ message, stall }) => message === 'worker is silent' && (stall as Stall | undefined)?.request_id === requestId),
  );
  expect(silent['stall']).toMatchObject({ kind: 'js', route: 'chaos.stall', source: 'context' });
  const { stack, artefact } = silent['stall'] as Stall;
  expect(stack.some((frame) => frame.startsWith('guiltyLoop '))).toBe(true);
  expect(read(artefact ?? '')).toMatchObject({ process: 'jobs', request: { id: requestId, route: 'chaos.stall' } });
  const next = await eventually('another job process', async () => {
    const found = await jobs();
    return found && found.pid !== victim.pid && found;
  });
  expect(next.pid).not.toBe(victim.pid);
  expect((await call(own.url, { path: '/chaos/wait?ms=1' })).result).toBe(200);
  expect((await stats(own)).cluster.restarts.total).toBe(0);
  await own.stop();
});
