/** `db:new <what_it_does>`: writes an empty pair of migration files, named with the current UTC minute. */
import { writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { MIGRATIONS_FOLDER } from '../lib/migrations';

const EXIT_USAGE = 64;
const what = process.argv[2] ?? '';

if (/^[a-z][a-z0-9_]*$/.test(what)) {
  const minute = new Date().toISOString().slice(0, 16).replace(/[-:]/g, '');
  for (const direction of ['up', 'down']) {
    const path = join(MIGRATIONS_FOLDER, `${minute}_${what}.${direction}.sql`);
    writeFileSync(path, '', { flag: 'wx' });
    console.log(relative(process.cwd(), path));
  }
} else {
  console.error('usage: npm run db:new -- add_loyalty_points (small letters, digits, underscores)');
  process.exitCode = EXIT_USAGE;
}
