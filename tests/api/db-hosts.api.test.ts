/** URLs with several hosts against real servers: who is dead is passed over, who cannot write as well, and the one that served last is asked first. */
import pg from 'pg';
import { parsePostgresUrl } from '../../config/postgres-url';
import { connectTo, HostList, loginOf, NoSuitableServer } from '../../lib/db-hosts';
import { freePort } from '../../scripts/ports';
import { admin, createDatabase } from '../support/database';

let dead: number;
let url: URL;

beforeAll(async () => {
  dead = await freePort();
  url = new URL((await createDatabase()).url);
  // Between the driver and the server: a pooler answers for itself.
  url.host = new URL(process.env['TEST_DIRECT_URL'] ?? '').host;
});

/** The test database at two places: a port where nobody listens, and the real one. */
const hosts = (...ports: (number | string)[]): string =>
  `postgres://${url.username}:${url.password}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}${url.pathname}`;

async function whereTo(target: string): Promise<number> {
  const client = await connectTo(target);
  const { port } = client;
  await client.end();
  return port;
}

test('the first host is dead › the second serves', async () => {
  expect(await whereTo(hosts(dead, url.port))).toBe(Number(url.port));
});

test('every host is dead › the driver says so', async () => {
  await expect(whereTo(hosts(dead, dead))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
});

test('a wrong password › refused at once, no other host is asked', async () => {
  const wrong = hosts(url.port, dead).replace(url.password, 'wrong');
  await expect(whereTo(wrong)).rejects.toMatchObject({ code: '28P01' });
});

test.each([
  ['read-write', false],
  ['read-only', true],
  ['primary', true],
  ['standby', false],
  ['any', true],
])('a server that is read-only now › target_session_attrs=%s accepts it: %s', async (wanted, accepted) => {
  const [{ name } = { name: '' }] = await admin<{ name: string }>('SELECT current_user AS name');
  expect(name).toBe('postgres');
  await admin(`ALTER DATABASE ${url.pathname.slice(1)} SET default_transaction_read_only = on`);
  try {
    const attempt = whereTo(`${hosts(url.port, dead)}?target_session_attrs=${wanted}`);
    if (accepted) expect(await attempt).toBe(Number(url.port));
    else await expect(attempt).rejects.toMatchObject({ code: expect.stringMatching(/^(08001|ECONNREFUSED)$/) as string });
  } finally {
    await admin(`ALTER DATABASE ${url.pathname.slice(1)} RESET default_transaction_read_only`);
  }
});

test('no host suits › an error that says what was wanted, in the class of connection troubles', async () => {
  const failure = await whereTo(`${hosts(url.port)}?target_session_attrs=standby`).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(NoSuitableServer);
  expect(failure).toMatchObject({ code: '08001', message: expect.stringContaining('standby') as string });
});

test('one host served › it is asked first the next time, so a dead one costs once', async () => {
  const address = parsePostgresUrl(hosts(dead, url.port));
  const list = new HostList(address);
  const asked: number[] = [];
  const open = () =>
    list.connect(
      async (host) => {
        asked.push(host.port);
        const client = new pg.Client({ ...loginOf(address), ...host });
        await client.connect();
        return client;
      },
      (client) => client.end(),
    );
  await (await open()).end();
  await (await open()).end();
  expect(asked).toEqual([dead, Number(url.port), Number(url.port)]);
});
