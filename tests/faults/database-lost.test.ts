/**
 * @alone The database goes away while the service serves: probes say so in time, requests fail in the envelope, nothing has to be
 * restarted, and the service heals by itself. A proxy in front of the database refuses, or goes silent as a dead host does.
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { eventually, isAlive, stats, TIMES } from '../cluster/support';
import { closeLater } from '../support/closers';
import { type Service, startService } from '../support/cluster';
import { createDatabase } from '../support/database';
import { temporaryFolder } from '../support/services';

/** Passes bytes on; can refuse, hold its tongue, and heal. */
class DatabaseProxy {
  readonly #server: Server;
  readonly #target: URL;
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #mode: 'open' | 'refuse' | 'silent' = 'open';

  constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((client) => this.#accept(client));
    closeLater(() => {
      this.refuse();
      this.#server.close();
    });
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return (this.#server.address() as AddressInfo).port;
  }

  refuse(): void {
    this.#mode = 'refuse';
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** Connections stay open and nothing comes through, as when a cable is pulled. */
  silence(): void {
    this.#mode = 'silent';
    for (const { client, upstream } of this.#pairs) {
      client.pause();
      upstream.pause();
    }
  }

  heal(): void {
    this.#mode = 'open';
    for (const { client, upstream } of this.#pairs) {
      client.resume();
      upstream.resume();
    }
  }

  #accept(client: Socket): void {
    client.on('error', () => client.destroy());
    if (this.#mode === 'refuse') {
      client.destroy();
      return;
    }
    const upstream = connect(Number(this.#target.port), this.#target.hostname);
    const pair = { client, upstream };
    this.#pairs.add(pair);
    upstream.on('error', () => client.destroy());
    client.on('data', (chunk) => upstream.write(chunk));
    upstream.on('data', (chunk) => client.write(chunk));
    const end = () => {
      this.#pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    client.on('close', end);
    upstream.on('close', end);
    if (this.#mode === 'silent') {
      client.pause();
      upstream.pause();
    }
  }
}

let proxy: DatabaseProxy;
let service: Service;
let pids: number[];

beforeAll(async () => {
  const database = await createDatabase();
  proxy = new DatabaseProxy(database.url);
  const port = await proxy.listen();
  const through = (url: string): string => {
    const changed = new URL(url);
    changed.port = String(port);
    return changed.toString();
  };
  const started = await startService({
    database,
    env: {
      WORKERS: '2',
      MAX_REQUESTS: '0',
      DATABASE_URL: through(database.url),
      DATABASE_MIGRATION_URL: through(database.migrationUrl),
      DATA_DIR: temporaryFolder('lost'),
      DB_TIMEOUT: '2',
      // What bounds a request whose statement is never answered.
      REQUEST_TIMEOUT: '4',
    },
  });
  service = started;
  pids = started.banner.pids;
});
afterAll(() => service.stop());

/** Each worker looks for itself, and may trust what it saw less than a second ago. */
const allSay = async (path: string, status: number): Promise<boolean> =>
  (await Promise.all(Array.from({ length: 6 }, () => service.request(path)))).every((answer) => answer.status === status);

afterEach(async () => {
  proxy.heal();
  await eventually('healed', async () => (await allSay('/api/health', 200)) && (await allSay('/ready', 200)));
});

const LIMIT_MS = 300 * TIMES;

describe.each([
  ['refuses connections', () => proxy.refuse()],
  ['goes silent', () => proxy.silence()],
])('the database %s', (_name, lose) => {
  test('/api/health and /ready › 503 without driver text within 300 ms, /health still 200 and degraded, same workers, then healed', async () => {
    expect((await service.request('/api/health')).body).toMatchObject({
      ok: true,
      data: { status: 'ok', db: 'up', mode: 'database' },
      status: 'ok',
      db: 'up',
    });
    lose();
    await eventually('unavailable from every worker', () => allSay('/api/health', 503), 5_000 * TIMES);
    for (let probe = 0; probe < 6; probe += 1) {
      const health = await service.request('/api/health');
      expect(health.status).toBe(503);
      expect(health.ms).toBeLessThan(LIMIT_MS);
      const { correlation_id, ...body } = health.body;
      expect(body).toMatchObject({
        ok: false,
        data: null,
        error: { code: 'unavailable', message: 'Database connection failed' },
        message: 'Database connection failed',
        meta: { request_id: correlation_id },
      });
      expect(health.headers.get('retry-after')).toMatch(/^\d+$/);
      const ready = await service.request('/ready');
      expect(ready.status).toBe(503);
      expect(ready.ms).toBeLessThan(LIMIT_MS);
      expect(ready.body).toMatchObject({ status: 'not-ready', checks: { database: false, draining: false } });
      for (const { body: text } of [health, ready]) expect(JSON.stringify(text)).not.toMatch(/ECONN|postgres|sequelize|127\.0\.0\.1/i);
    }
    const alive = await service.request('/health');
    expect(alive.status).toBe(200);
    expect(alive.body).toMatchObject({ status: 'degraded', db: 'down' });
    await eventually('the primary knows', async () => (await stats(service)).db.primary.status === 'down', 5_000 * TIMES);
    const told = await service.ops('/ready');
    expect(told).toMatchObject({ status: 503, body: { status: 'not-ready', checks: { database: false, draining: false } } });
    proxy.heal();
    await eventually('healed', () => allSay('/api/health', 200), 20_000 * TIMES);
    await eventually('the primary knows', async () => (await service.ops('/ready')).status === 200, 5_000 * TIMES);
    expect((await stats(service)).workers.map(({ pid }) => pid).sort()).toEqual([...pids].sort());
    expect(pids.every(isAlive)).toBe(true);
  });

  test('a request that needs it › 503 unavailable in the envelope, in bounded time', async () => {
    lose();
    const began = performance.now();
    const { status, body } = await service.request('/api/auth/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'somebody@example.com', password: 'whatever-it-is-1' }),
    });
    expect(performance.now() - began).toBeLessThan(8_000 * TIMES);
    expect(status).toBe(503);
    expect(body).toMatchObject({ ok: false, error: { code: 'unavailable' } });
    expect(JSON.stringify(body)).not.toMatch(/ECONN|sequelize|127\.0\.0\.1/i);
  });
});
