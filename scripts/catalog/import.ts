/** The work of `npm run catalog:import`; see `scripts/import-catalog.ts`, which finds the database and starts this as a process. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { newWorkStats, withContext } from '../../lib/context';
import { closeDatabase, openDatabase } from '../../lib/db';
import { ValidationFailed } from '../../lib/errors';
import { PROJECT_ROOT } from '../../lib/project-root';
import { EXIT, exitCodeOf } from '../../server/cluster/exit-codes';
import { joinReplyCache } from '../../server/reply-cache';
import { importCatalog } from '../../services/catalog-import.service';
import { unsafeFindTenant } from '../../services/tenants.service';

const SHIPPED = join(PROJECT_ROOT, 'models', 'seeds', 'service-catalog.csv');
const EXIT_REFUSED = 1;
const EXIT_USAGE = 64;
const EXIT_NO_INPUT = 66;
const USAGE = 'usage: npm run catalog:import -- --tenant <slug or id> [--file <csv>]';

function fail(code: number, message: string): number {
  console.error(`catalog:import: ${message}`);
  return code;
}

async function main(): Promise<number> {
  const { tenant: wanted, file } = readArguments();
  if (!wanted) return fail(EXIT_USAGE, USAGE);
  let csv: string;
  try {
    csv = readFileSync(file, 'utf8');
  } catch {
    return fail(EXIT_NO_INPUT, `cannot read ${file}`);
  }
  await openDatabase({ poolMin: 0, poolMax: 1 });
  const leaveReplyCache = await joinReplyCache();
  try {
    return await importInto(wanted, csv);
  } finally {
    await leaveReplyCache();
    await closeDatabase();
  }
}

function readArguments(): { tenant: string | undefined; file: string } {
  try {
    const { values } = parseArgs({ options: { tenant: { type: 'string' }, file: { type: 'string', default: SHIPPED } } });
    return { tenant: values.tenant, file: values.file };
  } catch {
    return { tenant: undefined, file: '' };
  }
}

async function importInto(wanted: string, csv: string): Promise<number> {
  const system = {
    requestId: randomUUID(),
    operation: 'catalog:import',
    actor: { kind: 'system', id: 'catalog:import', role: null },
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  } as const;
  const tenant = await withContext({ ...system, tenant: null }, () => unsafeFindTenant(wanted));
  if (!tenant) return fail(EXIT_NO_INPUT, `no tenant ${wanted}`);
  try {
    const { rows, inserted, updated } = await withContext({ ...system, tenant }, () => importCatalog(csv));
    console.log(`${tenant.slug}: ${rows} operations, ${inserted} new, ${updated} changed`);
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    for (const [where, reason] of Object.entries(error.details ?? {})) console.error(`${where}: ${String(reason)}`);
    return fail(EXIT_REFUSED, error.message);
  }
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.exitCode = fail(exitCodeOf(error), error instanceof Error ? error.message : String(error));
  },
);
