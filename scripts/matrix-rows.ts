/** The rows of the matrix, what each needs, and what their outcomes come to. Pure; `run-matrix.ts` runs them. */

export interface Row {
  readonly name: string;
  /** In words, for the table. */
  readonly on: string;
  readonly project: 'api' | 'sqlite';
  /** Services that the row cannot do without. */
  readonly needs: readonly ('postgresql' | 'pgbouncer' | 'redis')[];
}

export const ROWS: readonly Row[] = [
  { name: 'postgres18', on: 'embedded PostgreSQL, without Redis', project: 'api', needs: [] },
  { name: 'postgres15', on: 'the system’s oldest PostgreSQL', project: 'api', needs: ['postgresql'] },
  { name: 'pgbouncer', on: 'embedded PostgreSQL through PgBouncer, with Redis', project: 'api', needs: ['pgbouncer', 'redis'] },
  { name: 'redis', on: 'embedded PostgreSQL, with Redis', project: 'api', needs: ['redis'] },
  { name: 'sqlite', on: 'SQLite in memory, the tests marked @core', project: 'sqlite', needs: [] },
];

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface Outcome {
  readonly row: Row;
  /** What the run said it runs on. */
  readonly server: string;
  readonly counts: Counts | null;
  readonly seconds: number;
  /** Why it did not run, or what is wrong with it; null when it passed. */
  readonly fault: string | null;
  /** The fault is a service that this machine lacks. */
  readonly isMissing: boolean;
}

/** Splits `sqlite redis tests/api/auth` into rows and arguments for jest; no row named means all. */
export function chooseRows(args: readonly string[]): { rows: readonly Row[]; more: readonly string[] } {
  const named = ROWS.filter(({ name }) => args.includes(name));
  return { rows: named.length > 0 ? named : ROWS, more: args.filter((arg) => !ROWS.some(({ name }) => name === arg)) };
}

const COUNTS = /^(\d+) passed, (\d+) failed, (\d+) skipped$/gm;

/** The last line of counts in the output of a run; null when it ended without one. */
export function countsIn(output: string): Counts | null {
  const [, passed, failed, skipped] = [...output.matchAll(COUNTS)].at(-1) ?? [];
  return passed === undefined ? null : { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/** What limits and kept replies cost in Redis at least. */
const REDIS_COMMANDS = ['evalsha', 'mget'];

/** Names of the commands that a Redis has carried out, by its `INFO commandstats`. */
export const commandsIn = (info: string): readonly string[] =>
  [...info.matchAll(/^cmdstat_(\w+):calls=[1-9]/gm)].map(([, name = '']) => name);

/** What is wrong with a run that ended; null when nothing is. A run without a passed test proves nothing. */
export function faultOf(code: number | null, counts: Counts | null): string | null {
  if (!counts) return `ended with code ${code} before it counted`;
  if (counts.failed > 0) return `${counts.failed} failed`;
  if (counts.passed === 0) return 'no test ran';
  return code === 0 ? null : `ended with code ${code}`;
}

/**
 * Why a run that ended proves nothing about its row: it ran on another server than the row says, because a switch was not known or the
 * machine has another version. null when it ran where it should.
 * @param commands that the Redis of the row has carried out
 */
export function strayFrom({ name, needs }: Row, server: string, commands: readonly string[] = []): string | null {
  if (name === 'pgbouncer' && !server.includes('through PgBouncer')) return 'did not go through PgBouncer';
  const unsent = needs.includes('redis') ? REDIS_COMMANDS.filter((command) => !commands.includes(command)) : [];
  if (unsent.length > 0) return `sent Redis no ${unsent.join(' and no ')}`;
  const [, wanted] = /^postgres(\d+)$/.exec(name) ?? [];
  const [, found] = /PostgreSQL (\d+)/.exec(server) ?? [];
  return wanted === undefined || found === wanted ? null : `ran on ${server || 'an unknown server'}, not on PostgreSQL ${wanted}`;
}

/** @param strict a service that is missing is a failure, too */
export function conclude(outcomes: readonly Outcome[], { strict }: { strict: boolean }): { verdict: string; ok: boolean } {
  const missing = outcomes.filter(({ isMissing }) => isMissing);
  const failed = outcomes.filter(({ fault, isMissing }) => fault !== null && (strict || !isMissing));
  const passed = outcomes.filter(({ fault }) => fault === null);
  const name = ({ row, fault }: Outcome): string => `${row.name} (${fault})`;
  if (failed.length > 0) return { verdict: `matrix FAILED: ${failed.map(name).join(', ')}`, ok: false };
  if (passed.length === 0) return { verdict: `matrix FAILED: nothing ran: ${missing.map(name).join(', ')}`, ok: false };
  const left = missing.length > 0 ? `; not run: ${missing.map(name).join(', ')}` : '';
  return { verdict: `matrix passed: ${passed.length} of ${outcomes.length} runs${left}`, ok: true };
}

export function table(outcomes: readonly Outcome[]): string {
  const cells = outcomes.map(({ row, server, counts, seconds, fault }) => [
    row.name,
    server || row.on,
    String(counts?.passed ?? '-'),
    String(counts?.failed ?? '-'),
    String(counts?.skipped ?? '-'),
    `${Math.round(seconds)} s`,
    fault ?? 'passed',
  ]);
  const rows = [['run', 'on', 'passed', 'failed', 'skipped', 'took', 'outcome'], ...cells];
  const widths = rows.reduce<number[]>((known, row) => row.map((cell, index) => Math.max(known[index] ?? 0, cell.length)), []);
  return rows
    .map((row) =>
      row
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
