/** Prints the report on indexes; see `scripts/db-indexes.ts`, which finds the database and starts this as a process. */
import { closeDatabase, openDatabase, unsafeQuery } from '../../lib/db';
import { EXIT, exitCodeOf } from '../../server/cluster/exit-codes';
import { readCatalogue } from './catalogue';
import { duplicateIndexes, type IndexFacts, unindexedForeignKeys, unusedIndexes } from './rules';

const EXIT_FOUND = 1;
const say = (line: string): void => console.log(line);

function section(title: string, lines: readonly string[]): void {
  say(`${title}: ${lines.length === 0 ? 'none' : lines.length}`);
  for (const line of lines) say(`  ${line}`);
}

const size = ({ bytes }: IndexFacts): string => `${Math.round(bytes / 1024)} kB`;

async function main(): Promise<number> {
  const [flag, ...more] = process.argv.slice(2);
  if (more.length > 0 || (flag !== undefined && flag !== '--check')) {
    console.error('usage: npm run db:indexes [-- --check]');
    return 64;
  }
  await openDatabase({ poolMin: 1, poolMax: 1 });
  try {
    const { indexes, foreignKeys, countedSince } = await readCatalogue({ query: async (text) => ({ rows: await unsafeQuery({ text }) }) });
    const missing = unindexedForeignKeys(foreignKeys, indexes);
    const duplicates = duplicateIndexes(indexes);
    say(`${indexes.length} indexes, ${foreignKeys.length} foreign keys`);
    section(
      'missing: foreign keys without an index',
      missing.map(({ table, name, columns }) => `${table} (${columns.join(', ')})  ${name}`),
    );
    section(
      'duplicate: another index answers the same',
      duplicates.map(({ index, by }) => `${index.table}  ${index.name}  by ${by.name}  ${size(index)}`),
    );
    section(
      `unused: not read since ${countedSince ?? 'the statistics began'}, on this server (replicas count for themselves)`,
      unusedIndexes(indexes).map((index) => `${index.table}  ${index.name}  ${size(index)}`),
    );
    return flag === '--check' && missing.length + duplicates.length > 0 ? EXIT_FOUND : EXIT.ok;
  } finally {
    await closeDatabase();
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(`db:indexes: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(exitCodeOf(error));
  },
);
