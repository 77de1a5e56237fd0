/** TLS to the database in production: verified, by authority and by name, or no start. A real server with certificates made here. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cancelStatement } from '../../lib/db-cancel';
import { connectTo } from '../../lib/db-hosts';
import { eventually } from '../cluster/support';
import { AS_SHIPPED, type Service, spawnService } from '../support/cluster';
import { admin } from '../support/database';
import { type DurablePostgres, startDurablePostgres } from '../support/durable-postgres';
import { freePort, temporaryFolder } from '../support/services';

let database: DurablePostgres;
let folder: string;
const at = (name: string): string => join(folder, name);

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

/** An authority: `<name>.key`, `<name>.pem`. */
function makeAuthority(name: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  openssl('req', '-x509', ...key, '-out', `${name}.pem`, '-subj', `/CN=${name}`, '-days', '2');
}

/** The server's certificate, for the address alone. */
function makeServerCertificate(authority: string): void {
  writeFileSync(at('names.cnf'), 'subjectAltName=IP:127.0.0.1\n');
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=shop-database');
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial'],
    ...['-out', 'server.crt', '-days', '2', '-extfile', 'names.cnf'],
  );
}

beforeAll(async () => {
  database = await startDurablePostgres();
  process.env['TEST_ADMIN_URL'] = database.adminUrl;
  folder = temporaryFolder('tls');
  for (const name of ['authority', 'stranger']) makeAuthority(name);
  makeServerCertificate('authority');
  const { dataDir } = database.server;
  const { uid, gid } = statSync(dataDir);
  for (const name of ['server.key', 'server.crt']) {
    const target = join(dataDir, name);
    writeFileSync(target, readFileSync(at(name)), { mode: 0o600 });
    chmodSync(target, 0o600);
    if (process.getuid?.() === 0) chownSync(target, uid, gid);
  }
});

async function serveTls(on: boolean): Promise<void> {
  appendFileSync(join(database.server.dataDir, 'postgresql.conf'), `ssl = ${on ? 'on' : 'off'}\n`);
  await database.control('restart', '-m', 'fast');
}

/** A production start on this database; `url` changes what its URLs say. */
function startProduction(env: Record<string, string>, url: (url: string) => string = (text) => text): Promise<Service> {
  return spawnService({
    script: 'dist/scripts/start-production.js',
    database,
    cwd: temporaryFolder('production'),
    env: {
      ...AS_SHIPPED,
      NODE_ENV: undefined,
      WORKERS: '2',
      LOG_LEVEL: undefined,
      DATABASE_URL: url(database.url),
      DATABASE_MIGRATION_URL: url(database.migrationUrl),
      ...env,
    },
  });
}

/** Ends with this code, and says this. */
async function isRefused(service: Service, words: RegExp): Promise<void> {
  expect(await service.waitForExit()).toEqual({ code: 78, signal: null });
  expect(service.output).toMatch(words);
  expect(service.output).not.toContain(new URL(database.url).password);
}

test.each([
  ['DB_SSL=off', { DB_SSL: 'off' }, ''],
  ['DB_SSL=require, which believes any certificate', { DB_SSL: 'require' }, ''],
  ['sslmode=disable in the URL', {}, '?sslmode=disable'],
])('another host, %s › the start is refused before anything is tried', async (_name, env, parameters) => {
  const service = await startProduction(env, () => `postgres://autoshop_app:pw@db.internal/autoshop${parameters}`);
  await isRefused(service, /DB_SSL: must be verify for a database on another host/);
});

test('a server without TLS › verified TLS refuses the start', async () => {
  await isRefused(await startProduction({ DB_SSL: 'verify' }), /TLS \(verify\) fails: The server does not support SSL connections/);
});

describe('a server with TLS', () => {
  beforeAll(() => serveTls(true));

  test('an authority that did not sign › refused', async () => {
    await isRefused(
      await startProduction({ DB_SSL: 'verify', DB_SSL_CA_FILE: at('stranger.pem') }),
      /TLS \(verify\) fails: \S*(CERT|SIGNATURE)/,
    );
  });

  test('no authority given › the public ones did not sign it either: refused', async () => {
    await isRefused(await startProduction({ DB_SSL: 'verify' }), /TLS \(verify\) fails: \S*(CERT|SIGNATURE)/);
  });

  test('the right authority, another host name › refused', async () => {
    const service = await startProduction({ DB_SSL: 'verify', DB_SSL_CA_FILE: at('authority.pem') }, (url) =>
      url.replace('127.0.0.1', 'localhost'),
    );
    await isRefused(service, /TLS \(verify\) fails: ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test('the right authority and name, asked for by the URLs › serves, and every connection is encrypted', async () => {
    const service = await startProduction(
      { DB_SSL_CA_FILE: at('authority.pem'), PORT: String(await freePort()) },
      (url) => `${url}?sslmode=verify-full`,
    );
    await service.ready();
    const connections = await eventually('connections of workers and queue', async () => {
      const found = await admin<{ ssl: boolean; name: string }>(
        "SELECT s.ssl, a.application_name AS name FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename LIKE 'autoshop%'",
      );
      return [/:w1:/, /:w2:/, /^autoshop-jobs$/].every((one) => found.some(({ name }) => one.test(name))) && found;
    });
    expect(connections.filter(({ ssl }) => !ssl)).toEqual([]);
    expect(await service.stop()).toEqual({ code: 0, signal: null });
  });

  test('a statement is cancelled › over TLS as well', async () => {
    const client = await connectTo(database.url, { ssl: { ca: readFileSync(at('authority.pem'), 'utf8') } });
    const sleeping = client.query('SELECT pg_sleep(60) AS encrypted').catch((error: unknown) => error);
    while ((await admin("SELECT FROM pg_stat_activity WHERE query LIKE '%AS encrypted%' AND wait_event = 'PgSleep'")).length === 0);
    await cancelStatement(client);
    expect(await sleeping).toMatchObject({ code: '57014' });
    await client.end();
  });
});
