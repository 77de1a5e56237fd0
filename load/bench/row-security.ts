/**
 * `npm run bench:row-security [-- --rounds 8]`: what row-level security and its tenant scope cost a read, direct and through PgBouncer in
 * transaction mode: reads per second over four connections, by what is read and by the way the scope travels. Starts an embedded
 * PostgreSQL with the load seed; PgBouncer where it is installed. Prints a table; fails when a read loses its tenant.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { seedDatabase } from '../../scripts/seed/database';
import { loadPlans } from '../../scripts/seed/plans';
import { runClosers } from '../../tests/support/closers';
import { startTestPooler } from '../../tests/support/pgbouncer';
import { isAvailable } from '../../tests/support/services';
import { copyTemplate, startTestCluster, withClient, withDatabase } from '../../tests/support/test-cluster';
import { log } from './database';
import { runBench } from './frame';
import type { ReadRates } from './scoped-read';

const TIME_LIMIT_MS = 230_000;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '8' } } });

function measure(url: string, unscoped: string, prepared: boolean): ReadRates {
  const env = { ...process.env, NODE_ENV: 'test', DATABASE_URL: url, UNSCOPED_URL: unscoped, DB_PREPARED: String(prepared) };
  const script = join(__dirname, 'scoped-read.js');
  return JSON.parse(execFileSync(process.execPath, [script, '--rounds', values.rounds], { env, encoding: 'utf8' })) as ReadRates;
}

function print(title: string, rates: ReadRates): void {
  console.log(`\n${title}`);
  for (const [statement, ways] of Object.entries(rates)) {
    const [[, free] = ['', Number.NaN]] = Object.entries(ways);
    const cells = Object.entries(ways).map(([way, rate]) => `${way} ${rate}/s (${Math.round((rate / free) * 100)} %)`);
    console.log(`  ${statement.padEnd(14)} ${cells.join('   ')}`);
  }
}

void runBench(TIME_LIMIT_MS, async (undoLater) => {
  const { stop, ...cluster } = await startTestCluster();
  undoLater(stop);
  undoLater(runClosers);
  process.env['TEST_CLUSTER'] = JSON.stringify(cluster);
  const name = `autoshop_${cluster.runId}_bench`;
  await copyTemplate(cluster, name);
  const [app, owner, superuser] = [cluster.appUrl, cluster.ownerUrl, cluster.superuserUrl].map((url) => withDatabase(url, name)) as [
    string,
    string,
    string,
  ];
  await withClient(owner, (client: pg.Client) => seedDatabase(client, loadPlans(), { onlyIfEmpty: false, now: new Date(), log }));
  print('direct, prepared', measure(app, superuser, true));
  print('direct, unprepared', measure(app, superuser, false));
  if (!isAvailable('pgbouncer')) log('PgBouncer is not installed: without its rows');
  else
    print(
      'through PgBouncer, unprepared',
      measure((await startTestPooler(app, { poolSize: 4 })).url, (await startTestPooler(superuser, { poolSize: 4 })).url, false),
    );
  return 0;
});
