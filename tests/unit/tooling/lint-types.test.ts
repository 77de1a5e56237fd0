/** `lint:types` guards what the compiler lets pass: a forgotten `await` writes nothing and says nothing. Each mistake is planted and must be found. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const PROJECT = join(__dirname, '../../..');

const SOURCE = `
class Row { async save(): Promise<void> {} }
type Status = 'open' | 'closed' | 'void';
declare const rows: Row[];
declare const status: Status;
declare function on(event: string, listener: () => void): void;
declare function inTransaction<T>(work: () => Promise<T>): Promise<T>;

export async function mistakes(row: Row): Promise<number> {
  row.save(); // line 10: not awaited
  inTransaction(async () => row.save()); // line 11: not awaited
  rows.map((each) => each.save()); // line 12: promises dropped
  rows.forEach(async (each) => { await each.save(); }); // line 13: forEach does not wait
  if (row.save()) return 1; // line 14: always true
  on('event', async () => { await row.save(); }); // line 15: the rejection is lost
  await status; // line 16: nothing to wait for
  switch (status) { // line 17: 'void' is forgotten
    case 'open': return 2;
    case 'closed': return 3;
  }
  new Promise<void>((resolve) => resolve()); // line 21: floating
  return 4;
}

export async function correct(row: Row): Promise<number> {
  await row.save();
  await Promise.all(rows.map((each) => each.save()));
  void row.save();
  switch (status) {
    case 'open': return 2;
    case 'closed': return 3;
    case 'void': return 4;
  }
}
`.trimStart();

test('lint:types › nine planted promise and switch mistakes › each found, the correct code left alone', () => {
  const root = mkdtempSync(join(tmpdir(), 'types-'));
  try {
    writeFileSync(join(root, 'planted.ts'), `\n${SOURCE}`);
    writeFileSync(
      join(root, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { strict: true, target: 'es2022' }, include: ['planted.ts'] }),
    );
    const oxlint = join(PROJECT, 'node_modules/.bin/oxlint');
    const run = spawnSync(oxlint, ['--config', join(PROJECT, '.oxlintrc.json'), '--type-aware', '--format', 'unix', 'planted.ts'], {
      cwd: root,
      encoding: 'utf8',
      // The type-aware half is looked for on PATH, where it is only under npm.
      env: { ...process.env, PATH: `${join(PROJECT, 'node_modules/.bin')}${delimiter}${process.env['PATH']}` },
    });
    const found = [...run.stdout.matchAll(/planted\.ts:(\d+):\d+:.*\[Error\/typescript[^\w]*([\w-]+)\)?\]/g)].map(
      ([, line, rule]) => `${line} ${rule}`,
    );
    expect(found.sort()).toEqual([
      '10 no-floating-promises',
      '11 no-floating-promises',
      '12 no-floating-promises',
      '13 no-misused-promises',
      '14 no-misused-promises',
      '15 no-misused-promises',
      '16 await-thenable',
      '17 switch-exhaustiveness-check',
      '21 no-floating-promises',
    ]);
    expect(run.status).toBe(1);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}, 30_000);
