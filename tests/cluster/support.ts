/** Clients and questions of the cluster tests. Waits are for facts that the service reports, asked for again until a limit. */
import { Agent, type OutgoingHttpHeaders, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Stats } from '../../server/ops/stats.schema';
import { closeLater } from '../support/closers';
import { type Banner, type Service, type ServiceOptions, startService } from '../support/cluster';
import { temporaryFolder } from '../support/services';

export type Running = Service & { banner: Banner };

/** The real primary with the misbehaving worker, 4 workers, a data folder of its own. */
export function startChaos({ env, args = [], ...options }: ServiceOptions = {}): Promise<Running> {
  return startService({
    script: 'dist/tests/cluster/fixtures/primary.js',
    args,
    ...options,
    env: { WORKERS: '4', BOOT_TIMEOUT: '90', DATA_DIR: temporaryFolder('chaos'), LOG_LEVEL: 'INFO', RATE_LIMIT_ANON: '1000000/60', ...env },
  });
}

/** The service with four workers that nothing ends, on the database of the test file. */
export const startSteady = (env: Record<string, string | undefined>): Promise<Running> =>
  startService({
    env: {
      WORKERS: '4',
      MAX_REQUESTS: '0',
      DATABASE_URL: process.env['DATABASE_URL'],
      DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'],
      DATA_DIR: temporaryFolder('steady'),
      LOG_LEVEL: 'WARN',
      ...env,
    },
  });

/** The worker in reserve has loaded; resolves with its pid. Only then is one that dies replaced at once. */
export const reserveOf = (service: Service, timeoutMs?: number): Promise<number> =>
  eventually(
    'a worker in reserve',
    async () => {
      const { standby } = (await stats(service)).cluster;
      return standby?.state === 'hello' && standby.pid;
    },
    timeoutMs,
  );

export interface Outcome {
  /** HTTP status, or the errno of what went wrong, or `timeout`. */
  result: number | string;
  ms: number;
  startedAt: number;
  body: string;
  headers: Record<string, unknown>;
  /** Sent on a connection of its own, not on one that was there. */
  fresh: boolean;
  /** Sent by a client that keeps its connection. */
  keepAlive: boolean;
}

interface Call {
  path: string;
  method?: string;
  headers?: OutgoingHttpHeaders;
  body?: Buffer;
  agent?: Agent | false;
  timeoutMs?: number;
}

/** One request that never throws and is never retried: what happened is the result. */
export function call(url: string, { path, method = 'GET', headers, body, agent = false, timeoutMs = 20_000 }: Call): Promise<Outcome> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const finish = (result: number | string, text = '', answered: Record<string, unknown> = {}) => {
      clearTimeout(timer);
      resolve({
        result,
        ms: performance.now() - startedAt,
        startedAt,
        body: text,
        headers: answered,
        fresh: !sent.reusedSocket,
        keepAlive: agent !== false,
      });
    };
    const sent = request(`${url}${path}`, { method, agent, ...(headers ? { headers } : {}) }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => finish(response.statusCode ?? 0, Buffer.concat(chunks).toString(), response.headers));
      response.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    });
    const timer = setTimeout(() => {
      finish('timeout');
      sent.destroy();
    }, timeoutMs);
    sent.on('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
    sent.end(body);
  });
}

/** A client that keeps its connection, for no longer than was promised since it last asked: it may itself have been held up. */
export class KeepingClient {
  #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  #keptUntil = Number.POSITIVE_INFINITY;

  async call(url: string, what: Omit<Call, 'agent'>): Promise<Outcome> {
    if (performance.now() >= this.#keptUntil) {
      this.#agent.destroy();
      this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
    }
    const outcome = await call(url, { ...what, agent: this.#agent });
    const seconds = /timeout=(\d+)/.exec(String(outcome.headers['keep-alive']))?.[1];
    this.#keptUntil = seconds === undefined ? Number.POSITIVE_INFINITY : outcome.startedAt + Number(seconds) * 1_000;
    return outcome;
  }

  destroy(): void {
    this.#agent.destroy();
  }
}

/** Time limits are those of an idle machine; a shared one may take three times as long. Counts have no such allowance. */
export const TIMES = 3;

const MAX_LOAD_MS = 60_000;

/** Clients that send one request after another until stopped: half keep their connection, half take a new one each time. */
export class Load {
  readonly outcomes: Outcome[] = [];
  #running = true;
  readonly #until: number;
  readonly #clients: Promise<void>[];

  constructor(
    url: string,
    {
      clients,
      limitMs = MAX_LOAD_MS,
      request: make,
    }: { clients: number; limitMs?: number; request: (client: number) => Omit<Call, 'agent'> },
  ) {
    this.#until = performance.now() + limitMs;
    this.#clients = Array.from({ length: clients }, (_, client) => this.#run(url, client, make));
    // A test that fails half way must not leave its clients running.
    closeLater(() => this.stop());
  }

  /** Resolves when `count` requests have ended, or the time of a load is over. */
  async until(count: number): Promise<void> {
    while (this.outcomes.length < count && performance.now() < this.#until) await delay(25);
  }

  async stop(): Promise<Outcome[]> {
    this.#running = false;
    await Promise.all(this.#clients);
    return this.outcomes;
  }

  async #run(url: string, client: number, make: (client: number) => Omit<Call, 'agent'>): Promise<void> {
    const kept = client % 2 === 0 ? new KeepingClient() : null;
    while (this.#running && performance.now() < this.#until)
      this.outcomes.push(await (kept ? kept.call(url, make(client)) : call(url, make(client))));
    kept?.destroy();
  }
}

/** What came out, by result: `{200: 41, ECONNRESET: 1}`. */
export function tally(outcomes: readonly Pick<Outcome, 'result'>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { result } of outcomes) counts[result] = (counts[result] ?? 0) + 1;
  return counts;
}

export const stats = async (service: Service, windowSeconds = 60): Promise<Stats> =>
  (await service.ops<Stats>(`/stats?window=${windowSeconds}`)).body;

/** Asks until `find` gives something. @throws Error with what was seen last */
export async function eventually<T>(what: string, ask: () => Promise<T | undefined | false>, timeoutMs = 90_000): Promise<T> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > until) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await delay(25);
  }
}

/** All samples of a counter in `/metrics` text, summed over labels that match. */
export function sumOf(text: string, name: string, labels = ''): number {
  let sum = 0;
  for (const line of text.split('\n'))
    if (line.startsWith(name) && /[{ ]/.test(line.charAt(name.length)) && line.includes(labels)) sum += Number(line.split(' ').at(-1));
  return sum;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
