/**
 * `npm run test:cluster [-- jest arguments]`: measures the criteria of the cluster (tests/criteria) and prints them as a table:
 * criterion, required, measured. What only counts runs three at a time, for it mostly waits, a file that says `@long` in its first lines
 * before the others; one that says `@alone` compares times, so nothing runs beside it. `npm run bench:cluster` takes the full counts and
 * the time limits of an idle machine, everything alone. Exits non-zero unless every criterion was measured and met; with arguments, those
 * that ran.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CRITERIA, isFull, type Measured } from '../tests/support/criterion';
import { exitWith, type JestRun, runAll } from './jest-run';
import { LONGEST_FIRST, splitAlone } from './test-files';

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

function runs(): JestRun[] {
  const environment = { CRITERIA_FILE: file };
  const base = ['--selectProjects', 'criteria'];
  if (partial || isFull()) return [{ name: 'criteria', args: [...base, '--runInBand'], environment }];
  const { together, alone } = splitAlone(['criteria']);
  return [
    { name: 'together', args: [...base, ...LONGEST_FIRST, '--maxWorkers=3', '--runTestsByPath', ...together], environment },
    { name: 'alone', args: [...base, '--runInBand', '--runTestsByPath', ...alone], environment },
  ];
}

exitWith(runAll(runs(), { conclude: table }));
