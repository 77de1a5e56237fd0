/**
 * `npm run bench:peers [-- --rolls 5 --clients 40 --requests 20000]`: what a rolling restart under load costs its clients, here and with the process
 * managers that people use instead: one after another, same client, same handler, four workers each. Half of the clients keep their
 * connection, half take a new one for each request; POST of 16 KB, no retry. A request has failed when it was reset, refused,
 * answered with anything but 200, or not answered within 8 s. Exit code 0 when none of ours failed, of at least `--requests`.
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Load, type Outcome } from '../../tests/cluster/support';
import { runClosers } from '../../tests/support/closers';
import { startTestCluster } from '../../tests/support/test-cluster';
import { gunicorn, ours, type Peer, pm2, rawCluster } from './peers/servers';

const BODY = Buffer.alloc(16_384, 'x');
const GIVE_UP_MS = 8_000;
const MAX_LOAD_MS = 15 * 60_000;

interface Result {
  name: string;
  rolls: number;
  seconds: number;
  kept: Outcome[];
  fresh: Outcome[];
}

const failed = (outcomes: readonly Outcome[]): Outcome[] => outcomes.filter(({ result }) => result !== 200);

/** Rolls at least `rolls` times, and for as long as it takes to send `least` requests. */
async function measure(peer: Peer, { rolls, clients, least }: { rolls: number; clients: number; least: number }): Promise<Result> {
  console.log(`${peer.name}: starting`);
  const server = await peer.start();
  const kept: Outcome[] = [];
  const fresh: Outcome[] = [];
  const started = performance.now();
  let done = 0;
  try {
    const load = new Load(server.url, {
      clients,
      limitMs: MAX_LOAD_MS,
      request: () => ({ path: server.path, method: 'POST', body: BODY, timeoutMs: GIVE_UP_MS }),
    });
    for (; done < rolls || (load.outcomes.length < least && performance.now() - started < MAX_LOAD_MS / 2); done += 1) {
      await server.roll();
      console.log(`${peer.name}: roll ${done + 1}, ${load.outcomes.length} requests, ${failed(load.outcomes).length} failed`);
    }
    // Even clients keep their connection: their later requests are not fresh ones.
    for (const outcome of await load.stop()) (outcome.keepAlive ? kept : fresh).push(outcome);
  } finally {
    await server.stop();
  }
  return { name: peer.name, rolls: done, seconds: (performance.now() - started) / 1000, kept, fresh };
}

function kinds(outcomes: readonly Outcome[]): string {
  const counts = new Map<string, number>();
  for (const { result } of failed(outcomes)) counts.set(String(result), (counts.get(String(result)) ?? 0) + 1);
  return [...counts].map(([result, count]) => `${count} ${result}`).join(', ');
}

function print(results: readonly Result[]): void {
  console.log(
    `\n${'server'.padEnd(30)} ${'rolls'.padStart(5)} ${'seconds'.padStart(8)} ${'keep-alive'.padStart(16)} ${'fresh'.padStart(16)}  what failed`,
  );
  for (const { name, rolls, seconds, kept, fresh } of results) {
    const share = (outcomes: Outcome[]) => `${failed(outcomes).length} of ${outcomes.length}`.padStart(16);
    console.log(
      `${name.padEnd(30)} ${String(rolls).padStart(5)} ${seconds.toFixed(0).padStart(8)} ${share(kept)} ${share(fresh)}  ${kinds([...kept, ...fresh])}`,
    );
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      rolls: { type: 'string', default: '5' },
      clients: { type: 'string', default: '40' },
      requests: { type: 'string', default: '20000' },
    },
  });
  const least = Number(values.requests);
  const size = { rolls: Number(values.rolls), clients: Number(values.clients) };
  Object.assign(process.env, { NODE_ENV: 'test', HOST: '127.0.0.1', JWT_SECRET: randomBytes(48).toString('base64url') });
  const { stop, ...cluster } = await startTestCluster();
  process.env['TEST_CLUSTER'] = JSON.stringify(cluster);
  try {
    const results: Result[] = [];
    for (const peer of [ours, pm2, gunicorn, rawCluster]) results.push(await measure(peer, { ...size, least: peer === ours ? least : 0 }));
    print(results);
    const [mine] = results;
    const all = [...(mine?.kept ?? []), ...(mine?.fresh ?? [])];
    return failed(all).length === 0 && all.length >= least ? 0 : 1;
  } finally {
    await runClosers();
    await stop();
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
