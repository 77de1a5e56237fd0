import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDatabase } from '../support/database';
import { temporaryFolder } from '../support/services';

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

function run(script: string, parameters: readonly string[], environment: Record<string, string | undefined>): Promise<Run> {
  const path = join(__dirname, '..', '..', 'dist', 'scripts', script);
  return new Promise((resolve) => {
    execFile(process.execPath, [path, ...parameters], { env: { ...process.env, ...environment } }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr });
    });
  });
}

const FAULTY = [
  'internal_code,category,name,default_price_cents,default_hours,skill_level,keywords,is_active',
  'A,BRAKES,First,100,1,2,,true',
  'B,SAILS,Second,-1,0,9,,perhaps',
  'A,BRAKES,Third,100,1,2,,true',
].join('\n');

test('a named database › imported once, a faulty file refused by line, an unknown shop named', async () => {
  const { url, migrationUrl } = await createDatabase();
  const environment = { DATABASE_URL: url, DATABASE_MIGRATION_URL: migrationUrl };
  await expect(run('admin.js', ['tenant:create', '--slug', 'new-shop', '--name', 'New shop'], environment)).resolves.toMatchObject({
    code: 0,
  });
  const into = (...more: string[]) => run('import-catalog.js', ['--tenant', 'new-shop', ...more], environment);
  await expect(into()).resolves.toEqual({ code: 0, stdout: 'new-shop: 50 operations, 50 new, 0 changed\n', stderr: '' });
  await expect(into()).resolves.toMatchObject({ code: 0, stdout: 'new-shop: 50 operations, 0 new, 0 changed\n' });

  const file = join(temporaryFolder('catalogue'), 'faulty.csv');
  writeFileSync(file, FAULTY);
  const refused = await into('--file', file);
  expect(refused.code).toBe(1);
  expect(refused.stderr.trim().split('\n').sort()).toEqual([
    'catalog:import: Catalogue file refused',
    'line 3.category: unknown_category',
    'line 3.default_hours: must_be_positive',
    'line 3.default_price_cents: must_not_be_negative',
    'line 3.is_active: must_be_true_or_false',
    'line 3.skill_level: out_of_range',
    'line 4.internal_code: duplicate',
  ]);
  await expect(run('import-catalog.js', ['--tenant', 'no-shop'], environment)).resolves.toMatchObject({ code: 66 });
  await expect(run('import-catalog.js', [], environment)).resolves.toMatchObject({ code: 64 });
  await expect(into('--file', '/nowhere.csv')).resolves.toMatchObject({ code: 66 });
});

test('no database named › the embedded one is started for it, and stopped', async () => {
  const folder = temporaryFolder('catalogue');
  const environment = { DATABASE_URL: undefined, DATABASE_MIGRATION_URL: undefined, DATA_DIR: folder };
  await expect(run('migrate.js', ['up'], environment)).resolves.toMatchObject({ code: 0 });
  await expect(run('admin.js', ['tenant:create', '--slug', 'own-shop', '--name', 'Own shop'], environment)).resolves.toMatchObject({
    code: 0,
  });
  await expect(run('import-catalog.js', ['--tenant', 'own-shop'], environment)).resolves.toEqual({
    code: 0,
    stdout: 'own-shop: 50 operations, 50 new, 0 changed\n',
    stderr: '',
  });
  // Whoever comes next finds it stopped, and its data kept.
  await expect(run('import-catalog.js', ['--tenant', 'own-shop'], environment)).resolves.toMatchObject({
    stdout: 'own-shop: 50 operations, 0 new, 0 changed\n',
  });
});
