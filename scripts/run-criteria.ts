/**
 * `npm run test:cluster [-- jest arguments]`: measures the criteria of the cluster (tests/criteria) one after another and prints
 * them as a table: criterion, required, measured. `npm run bench:cluster` does the same with the full counts and the time limits of an
 * idle machine. Exits non-zero unless every criterion was measured and met; with arguments, those that ran.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CRITERIA, type Measured } from '../tests/support/criterion';
import { exitWith, runAll } from './jest-run';

const folder = mkdtempSync(join(tmpdir(), 'autoshop-criteria-'));
const file = join(folder, 'measured.jsonl');
const partial = process.argv.length > 2;

function table(): boolean {
  const rows: Measured[] = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Measured)
    : [];
  rmSync(folder, { recursive: true, force: true });
  if (!partial)
    for (const id of CRITERIA)
      if (!rows.some((row) => row.id === id)) rows.push({ id, required: '(see tests/criteria)', measured: 'not measured', met: false });
  rows.sort((a, b) => CRITERIA.indexOf(a.id) - CRITERIA.indexOf(b.id));
  const width = Math.max(8, ...rows.map(({ required }) => required.length));
  console.log(`\n${'id'.padEnd(4)} ${'met'.padEnd(4)} ${'required'.padEnd(width)} measured`);
  for (const { id, required, measured, met } of rows)
    console.log(`${id.padEnd(4)} ${(met ? 'yes' : 'NO').padEnd(4)} ${required.padEnd(width)} ${measured}`);
  const missed = rows.filter(({ met }) => !met).length;
  console.log(missed === 0 ? `all ${rows.length} rows met\n` : `${missed} of ${rows.length} rows NOT met\n`);
  return missed === 0;
}

exitWith(
  runAll([{ name: 'criteria', args: ['--selectProjects', 'criteria', '--runInBand'], environment: { CRITERIA_FILE: file } }], {
    conclude: table,
  }),
);
