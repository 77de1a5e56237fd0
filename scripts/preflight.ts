/**
 * Everything that would stop or weaken a production start, said before it starts: the whole configuration (exit 78, every fault
 * named), the databases it names (75 when unreachable, 78 when they refuse us), then notes that stop nothing. Ends by printing what
 * the service will run with, secrets masked.
 */
import { readFileSync, statSync } from 'node:fs';
import { parseEnv } from 'node:util';
import type { Client } from 'pg';
import { config } from '../config';
import { describeConfig } from '../config/describe';
import { environmentSchema, SECRET_VARIABLES } from '../config/env';
import { tlsModeOf } from '../config/tls';
import { connectTo } from '../lib/db-hosts';
import { sslOptions } from '../lib/db-ssl';

const EXIT_UNREACHABLE = 75;
const EXIT_CONFIG = 78;
const CONNECT_TIMEOUT_MS = 5_000;
const OLDEST_SERVER = 150_000; // PostgreSQL 15, as server_version_num

interface Problem {
  variable: string;
  problem: string;
  exit: typeof EXIT_UNREACHABLE | typeof EXIT_CONFIG;
}
const notes: string[] = [];

/** Connects as the service will, TLS included, and looks at the server's own limits. */
async function checkDatabase(variable: string, url: string): Promise<Problem[]> {
  let client: Client | undefined;
  try {
    // A connection lost after the answer is the service's business.
    const ignore = (opening: Client) => opening.on('error', () => undefined);
    client = await connectTo(url, { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, ssl: sslOptions(url) }, ignore);
    const { rows } = await client.query<{ version: number; connections: number; powerful: boolean }>(
      `SELECT current_setting('server_version_num')::int AS version, current_setting('max_connections')::int AS connections,
              (rolsuper OR rolbypassrls) AS powerful FROM pg_roles WHERE rolname = current_user`,
    );
    const [server] = rows;
    if (!server) return [];
    if (server.version < OLDEST_SERVER)
      return [{ variable, problem: `PostgreSQL 15 or later is needed, the server is ${server.version}`, exit: EXIT_CONFIG }];
    if (server.connections < config.DB_MAX_CONNECTIONS)
      notes.push(`${variable}: the server allows ${server.connections} connections, DB_MAX_CONNECTIONS says ${config.DB_MAX_CONNECTIONS}`);
    if (server.powerful) notes.push(`${variable}: its role bypasses row-level security by itself; the service steps down to autoshop_app`);
    return [];
  } catch (error) {
    return [{ variable, ...explain(error as NodeJS.ErrnoException, url) }];
  } finally {
    await client?.end().catch(() => undefined); // never connected: nothing to end
  }
}

/** SQLSTATE class 28 and 3D000 are refusals, and so is TLS: trying again does not heal them. */
function explain({ code = '', message, path }: NodeJS.ErrnoException, url: string): Omit<Problem, 'variable'> {
  if (path && path === config.DB_SSL_CA_FILE) return { problem: `cannot read DB_SSL_CA_FILE (${code})`, exit: EXIT_CONFIG };
  if (/^28/.test(code)) return { problem: 'the server refuses this role or password', exit: EXIT_CONFIG };
  if (code === '3D000') return { problem: 'the server has no such database', exit: EXIT_CONFIG };
  if (/SSL|TLS|CERT|SELF_SIGNED/i.test(`${code} ${message}`))
    return {
      problem: `TLS (${tlsModeOf(url, { given: config.givenDbSsl, isProduction: config.isProduction })}) fails: ${code || message}`,
      exit: EXIT_CONFIG,
    };
  return { problem: `the database is not reachable (${code || message})`, exit: EXIT_UNREACHABLE };
}

function noteWeaknesses(): void {
  if (!config.REDIS_URL) notes.push('REDIS_URL is not set: caches and limits are kept by this instance alone');
  if (!config.SMTP_URL) notes.push('SMTP_URL is not set: password-reset mail cannot be sent');
  if (!config.PUBLIC_URL) notes.push('PUBLIC_URL is not set: mail cannot carry links');
  if (config.CORS_ORIGINS.every((origin) => /\/\/(localhost|127\.)/.test(origin)))
    notes.push('CORS_ORIGINS names only this machine: browsers on other origins are refused');
  if (config.ENV_FILE) noteFile(config.ENV_FILE);
}

/** A name that the service does not know is most likely a misspelt one. */
function noteFile(path: string): void {
  if (statSync(path).mode & 0o077) notes.push(`${path} can be read by other users of this machine: chmod 600 ${path}`);
  const known = new Set([...Object.keys(environmentSchema.shape), ...SECRET_VARIABLES.map((name) => `${name}_FILE`)]);
  const unknown = Object.keys(parseEnv(readFileSync(path, 'utf8'))).filter((name) => !known.has(name));
  if (unknown.length > 0) notes.push(`${path} sets what the service does not read: ${unknown.join(', ')}`);
}

async function main(): Promise<void> {
  const targets = new Map<string, string>();
  for (const name of ['DATABASE_URL', 'DATABASE_MIGRATION_URL'] as const) {
    const url = config[name];
    if (url && ![...targets.values()].includes(url)) targets.set(name, url);
  }
  const problems = (await Promise.all([...targets].map(([name, url]) => checkDatabase(name, url)))).flat();
  if (problems.length > 0) {
    console.error(`Start refused:\n${problems.map(({ variable, problem }) => `  ${variable}: ${problem}`).join('\n')}`);
    // A fault of the configuration outlives any waiting, so it decides.
    process.exitCode = problems.some(({ exit }) => exit === EXIT_CONFIG) ? EXIT_CONFIG : EXIT_UNREACHABLE;
    return;
  }
  noteWeaknesses();
  for (const note of notes) console.error(`note: ${note}`);
  const lines = Object.entries(describeConfig(config)).map(([name, value]) => `  ${name}=${value}`);
  console.log(`Effective configuration:\n${lines.join('\n')}`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 70;
});
