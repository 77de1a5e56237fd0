/**
 * What schema migrations there are, and which of them a database still lacks. Pairs of plain SQL files in `models/migrations`:
 * `<UTC time>_<what>.up.sql` and `.down.sql`. Running them is `lib/migrator.ts`; this half is light enough for every worker.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from './project-root';

export const MIGRATIONS_FOLDER = join(PROJECT_ROOT, 'models', 'migrations');
const FILE_NAME = /^(\d{8}T\d{4}_[a-z0-9_]+)\.(up|down)\.sql$/;

export interface Migration {
  /** `20260114T0930_work_orders` */
  readonly name: string;
  readonly up: string;
  readonly down: string;
}

/** Anything that can run one statement: a pg client, pool, or an adapter. */
export interface Queryable {
  query(text: string): Promise<{ rows: unknown[] }>;
}

/**
 * The migrations of a folder, oldest first, with the paths of both files.
 * @throws Error for a file whose name does not fit, or one without its partner: either would be skipped in silence
 */
export function listMigrations(folder = MIGRATIONS_FOLDER): Migration[] {
  const found = new Map<string, { up?: string; down?: string }>();
  for (const file of readdirSync(folder)) {
    const [, name, direction] = FILE_NAME.exec(file) ?? [];
    if (!name || !direction) throw new Error(`${file} in ${folder} is not named like 20260114T0930_work_orders.up.sql`);
    found.set(name, { ...found.get(name), [direction]: join(folder, file) });
  }
  return [...found]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { up, down }]) => {
      if (!up || !down) throw new Error(`Migration ${name} has no ${up ? 'down' : 'up'} file`);
      return { name, up, down };
    });
}

/** Names of migrations that the code knows and the database has not had, oldest first. */
export async function pending(client: Queryable, folder = MIGRATIONS_FOLDER): Promise<string[]> {
  const applied = new Set(await appliedMigrations(client));
  return listMigrations(folder)
    .map(({ name }) => name)
    .filter((name) => !applied.has(name));
}

/** Names that the database has had, oldest first; none when it was never migrated. */
export async function appliedMigrations(client: Queryable): Promise<string[]> {
  const { rows } = await client.query("SELECT to_regclass('public.schema_migrations') IS NOT NULL AS present");
  if (!(rows[0] as { present: boolean }).present) return [];
  const applied = await client.query('SELECT name FROM public.schema_migrations ORDER BY name');
  return (applied.rows as { name: string }[]).map(({ name }) => name);
}
