/** K5 and K22: evidence of event loops that stand still, and profiles on demand. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { routeOf, STALLS } from '../cluster/fixtures/stalls';
import { eventually, Load, startChaos, tally } from '../cluster/support';
import { counts, criterion, limit } from '../support/criterion';
import { temporaryFolder } from '../support/services';
import { block, most, NAMES, stalledBy } from './blocked-loop';

criterion('K5', 'evidence of every stall: request, route, what ran, in time', async (measure) => {
  const dataDir = temporaryFolder('evidence');
  const service = await startChaos({ env: { WORKER_TIMEOUT: '30', DATA_DIR: dataDir } });
  const runs = counts(20);
  let named = 0;
  let routed = 0;
  const written: number[] = [];
  const whole: number[] = [];
  const plan = NAMES.flatMap((name) => Array.from({ length: STALLS[name].guilty ? runs : 1 }, () => name));
  for (const name of plan) {
    const id = crypto.randomUUID();
    const blocked = block(service, name, 3_000, id);
    const artefact = await eventually(
      `${name}: evidence`,
      async () => (await stalledBy(service, id))?.stalls?.last?.artefact ?? undefined,
      60_000,
    );
    await blocked;
    const { guilty } = STALLS[name];
    const evidence = await eventually(`${name}: whole evidence`, async () => {
      const read = JSON.parse(readFileSync(artefact, 'utf8')) as {
        at: string;
        request: { id: string; route: string } | null;
        stack: { function: string }[] | null;
        /** Until all but the profile was on disk; absent where there is none. */
        written_ms?: number;
        profile?: object;
      };
      return guilty && !read.profile ? undefined : read;
    });
    const complete = statSync(artefact).mtimeMs - Date.parse(evidence.at);
    written.push(evidence.written_ms ?? complete);
    if (guilty) whole.push(complete);
    if (guilty && evidence.stack?.some((frame) => frame.function === guilty)) named += 1;
    if (evidence.request?.id === id && evidence.request.route === routeOf(name)) routed += 1;
  }
  const withStack = runs * NAMES.filter((name) => STALLS[name].guilty).length;
  // All that were written, not only those that the workers told of. One of a process without a request is of a stall of its own.
  const folder = join(dataDir, 'evidence');
  const files = readdirSync(folder).filter((file) => {
    if (!/^stall-.*\.json$/.test(file)) return false;
    const { in_flight } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { in_flight: { count: number } };
    return in_flight.count > 0;
  }).length;
  measure('one artefact for each stall', `${files} of ${plan.length}`, files === plan.length);
  measure('function named for loop, regex and wait in 100 %', `${named} of ${withStack}`, named === withStack);
  measure('request and route named for all six', `${routed} of ${plan.length}`, routed === plan.length);
  const [slowest, last] = [most(written), most(whole)];
  measure(`request, route and stack written < ${limit(1_000)} ms after the decision`, `slowest ${slowest} ms`, slowest < limit(1_000));
  measure(`and the profile with it < ${limit(1_000)} ms`, `slowest ${last} ms`, last < limit(1_000));
  await service.stop();
});

criterion('K22', 'a CPU profile during load', async (measure) => {
  const folder = temporaryFolder('profiles');
  const service = await startChaos({ stdin: 'pipe', env: { DATA_DIR: folder, EVIDENCE_MAX_MB: '1' } });
  const load = new Load(service.url, { clients: 20, request: () => ({ path: '/chaos/wait?ms=50' }) });
  const outcomes = (): Record<string, unknown>[] => service.events().filter(({ event }) => event === 'profile');
  const ask = (slot: number): void => void service.child.stdin?.write(`profile ${JSON.stringify({ slot, seconds: 2 })}\n`);
  ask(1);
  ask(2);
  await service.waitFor('both outcomes', () => outcomes().length === 2, 60_000);
  const refused = outcomes().filter((outcome) => typeof outcome['refused'] === 'string').length;
  measure('one at a time: the second is refused', `${refused} of 2 refused`, refused === 1);
  for (const slot of [2, 3, 4]) {
    const before = outcomes().length;
    ask(slot);
    await service.waitFor('a profile', () => outcomes().length > before, 60_000);
  }
  const paths = outcomes().flatMap(({ path }) => (typeof path === 'string' ? [path] : []));
  const last = JSON.parse(readFileSync(paths.at(-1) ?? '', 'utf8')) as { nodes: unknown[]; samples: unknown[] };
  measure(
    'profiles that open',
    `${paths.length} written, ${last.samples.length} samples in the last`,
    paths.length === 4 && last.nodes.length > 0,
  );
  const seen = tally(await load.stop());
  measure('0 failed requests', JSON.stringify(seen), Object.keys(seen).join() === '200');
  const stored = readdirSync(join(folder, 'evidence')).reduce((sum, name) => sum + statSync(join(folder, 'evidence', name)).size, 0);
  measure('the quota of 1 MB is kept', `${stored} bytes`, stored <= 1024 * 1024);
  await service.stop();
});
