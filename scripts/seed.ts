/**
 * `seed [--scale demo|load] [--if-empty] [--json]`: fills an empty database with invented data. Progress goes to stderr, the
 * accounts to stdout (as JSON with `--json`); demo accounts are also kept in `DATA_DIR/demo-accounts.json` (0600), because only
 * their hashes are stored. Without a database URL it works on the embedded one, adopting it when the service runs.
 *
 * Never in production. Exit codes: 0 seeded or nothing to do, 1 other data are in the way, 64 wrong usage, 70 failed,
 * 75 database unreachable, 78 refused by configuration.
 */
import '../server/cluster/parent-watch';

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { config } from '../config';
import { connectTo } from '../lib/db-hosts';
import { sslOptions } from '../lib/db-ssl';
import { startEmbeddedPostgres } from '../server/cluster/embedded-postgres';
import { EXIT, exitCodeOf } from '../server/cluster/exit-codes';
import { type Outcome, seedDatabase } from './seed/database';
import { type Account, accountsOf, demoPlans, loadPlans, type Scale } from './seed/plans';

const EXIT_USAGE = 64;
const EXIT_OCCUPIED = 1;
const CONNECT_TIMEOUT_MS = 10_000;
const USAGE = 'usage: seed [--scale demo|load] [--if-empty] [--json]';

const log = (message: string): void => console.error(`seed: ${message}`);

interface Arguments {
  scale: Scale;
  ifEmpty: boolean;
  json: boolean;
}

/** @returns undefined for arguments that nobody understands */
function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: { scale: { type: 'string', default: 'demo' }, 'if-empty': { type: 'boolean' }, json: { type: 'boolean' } },
    });
    const { scale } = values;
    if (scale !== 'demo' && scale !== 'load') return undefined;
    return { scale, ifEmpty: values['if-empty'] ?? false, json: values.json ?? false };
  } catch {
    return undefined;
  }
}

async function main(): Promise<number> {
  const wanted = readArguments();
  if (!wanted) {
    console.error(USAGE);
    return EXIT_USAGE;
  }
  if (config.isProduction) {
    log('refused: seeded accounts have known passwords and do not belong into production');
    return EXIT.config;
  }
  if (config.DATABASE_MIGRATION_URL?.startsWith('sqlite:')) {
    log('refused: seed data need PostgreSQL');
    return EXIT.config;
  }
  const embedded = config.DATABASE_MIGRATION_URL ? undefined : await startEmbeddedPostgres({ dataDir: config.DATA_DIR, log });
  try {
    const url = config.DATABASE_MIGRATION_URL ?? embedded?.migrationUrl ?? '';
    return await seed(url, embedded ? false : sslOptions(url), wanted);
  } finally {
    await embedded?.stop();
  }
}

async function seed(url: string, ssl: pg.ClientConfig['ssl'], { scale, ifEmpty, json }: Arguments): Promise<number> {
  const plans = scale === 'demo' ? demoPlans() : loadPlans();
  const accounts = plans.flatMap(accountsOf);
  const client = await connectTo(
    url,
    { connectionTimeoutMillis: CONNECT_TIMEOUT_MS, application_name: 'autoshop-seed', ...(ssl === undefined ? {} : { ssl }) },
    // A connection lost between two statements is reported by the next statement; without a listener it would end the process.
    (opening) => opening.on('error', () => undefined),
  );
  try {
    const outcome = await seedDatabase(client, plans, {
      onlyIfEmpty: ifEmpty,
      now: new Date(),
      log,
      ...(scale === 'demo' ? { beforeCommit: () => keepAccounts(accounts) } : {}),
    });
    return report(outcome, { scale, json, accounts });
  } finally {
    await client.end();
  }
}

function report(outcome: Outcome, { scale, json, accounts }: { scale: Scale; json: boolean; accounts: readonly Account[] }): number {
  if (outcome.kind === 'occupied') {
    log(`refused: tenant ${outcome.tenant} has customers already; ${scale} data need a database without them`);
    return EXIT_OCCUPIED;
  }
  if (outcome.kind === 'present') {
    log('nothing to do: the database is not empty');
    if (json) console.log(JSON.stringify({ seeded: false }));
    return EXIT.ok;
  }
  if (json) console.log(JSON.stringify({ seeded: true, scale, counts: outcome.counts, accounts }));
  else for (const { role, username, password } of accounts.slice(0, 8)) console.log(`${role.padEnd(10)}  ${username}  ${password}`);
  return EXIT.ok;
}

/** Written whole under another name first, so that a crash never leaves half a file. */
function keepAccounts(accounts: readonly Account[]): void {
  mkdirSync(config.DATA_DIR, { recursive: true });
  const path = join(config.DATA_DIR, 'demo-accounts.json');
  writeFileSync(`${path}.new`, `${JSON.stringify(accounts, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    log(`failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = exitCodeOf(error);
  },
);
