/** What `npm run ctl` prints: JSON lines for programs, a table and sentences for people. Pure but for the stream it is given. */
import type { CommandName } from '../../server/cluster/control-commands';
import type { ControlStatus, WorkerLine } from '../../server/cluster/control-status';
import type { Answer } from './client';

interface Out {
  write(text: string): unknown;
}

export function renderer({ command, json, out }: { command: CommandName; json: boolean; out: Out }): (answer: Answer) => void {
  if (json) return (answer) => void out.write(`${JSON.stringify(answer)}\n`);
  return (answer) => {
    // A refusal is told on stderr, by whoever ends the program.
    if (answer.event === 'refused') return;
    const text =
      answer.event === 'progress'
        ? progressLine(answer)
        : command === 'status'
          ? statusText(answer['result'] as ControlStatus)
          : done(answer);
    out.write(`${text}\n`);
  };
}

const facts = (answer: Readonly<Record<string, unknown>>): string =>
  Object.entries(answer)
    .map(([name, value]) => `${name.replaceAll('_', ' ')} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
    .join(', ');

function progressLine({ event: _, roll, replaced, of, ...rest }: Answer): string {
  if (roll !== undefined) return `rolling restart ${roll}: ${replaced} of ${of} workers replaced`;
  return of === undefined ? facts(rest) : `${facts(rest)} of ${of}`;
}

function done({ result }: Answer): string {
  const entries = facts((result ?? {}) as Record<string, unknown>);
  return entries === '' ? 'done' : `done: ${entries}`;
}

const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

/** `42 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} min`;
  if (seconds < DAY) return `${Math.floor(seconds / HOUR)} h ${Math.floor((seconds % HOUR) / MINUTE)} min`;
  return `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / HOUR)} h`;
}

const COLUMNS: readonly [title: string, read: (line: WorkerLine) => string | number | null][] = [
  ['slot', ({ slot, kind }) => (kind === 'http' ? slot : kind)],
  ['pid', ({ pid }) => pid],
  ['state', ({ state, drain }) => (drain === null ? state : `${state} (${drain})`)],
  ['age', ({ age_s }) => duration(age_s)],
  ['requests', ({ requests }) => requests],
  ['in flight', ({ in_flight }) => in_flight],
  ['connections', ({ connections }) => connections],
  ['pool', ({ pool }) => pool],
  ['rss MB', ({ rss_mb }) => rss_mb],
  ['lag p99 ms', ({ lag_p99_ms }) => lag_p99_ms],
];

export function statusText(status: ControlStatus): string {
  const { roll, maintenance, log_level: level } = status;
  const rolled = roll.last ? `, the last one ${roll.last.result}${roll.last.reason ? ` (${roll.last.reason})` : ''}` : '';
  return [
    `autoshop ${status.version}, pid ${status.pid}, up ${duration(status.uptime_s)}: ${status.state}, ${status.workers.ready} of ${status.workers.target} workers ready`,
    roll.state === 'idle'
      ? `rolling restarts: ${roll.id}${rolled}`
      : `rolling restart ${roll.id} (${roll.state}): ${roll.done} of ${roll.total} workers replaced`,
    ...(status.breaker_open ? ['breaker OPEN: workers die young, one is tried every 30 s'] : []),
    ...(maintenance ? [`MAINTENANCE since ${maintenance.since}: ${maintenance.reason ?? '(no reason given)'}`] : []),
    ...(level ? [`log level ${level.level} until ${level.until}`] : []),
    '',
    ...table(status.processes),
  ].join('\n');
}

function table(lines: readonly WorkerLine[]): string[] {
  const rows = [COLUMNS.map(([title]) => title), ...lines.map((line) => COLUMNS.map(([, read]) => String(read(line) ?? '-')))];
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  // Words to the left, numbers to the right.
  const pad = (text: string, column: number): string =>
    column === 0 || column === 2 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join('  ').trimEnd());
}
