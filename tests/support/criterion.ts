/**
 * The criteria of the cluster, K1 to K24: each a test that measures the running service and leaves rows (required, measured, met) for
 * the table that `npm run test:cluster` prints. CRITERIA=full (`npm run bench:cluster`) takes the full counts and the time limits of
 * an idle machine; otherwise a tenth of the counts and three times the time. Ratios are the same in both.
 */
import { appendFileSync } from 'node:fs';
import { runClosers } from './closers';

export const CRITERIA = Array.from({ length: 24 }, (_, index) => `K${index + 1}`);

export interface Measured {
  id: string;
  required: string;
  measured: string;
  met: boolean;
}

const full = process.env['CRITERIA'] === 'full';

/** The full count, or a tenth of it. */
export const counts = (number: number): number => (full ? number : Math.ceil(number / 10));

/** A time limit of an idle machine, or three times that. */
export const limit = (ms: number): number => (full ? ms : ms * 3);

/** Whether this run takes the full counts. */
export const isFull = (): boolean => full;

/** Records one row and fails the test when the row is not met. */
export type Measure = (required: string, measured: string | number, met: boolean) => void;

/**
 * What a criterion does. `measure` records what was counted; `compare` what compares times, which whoever else uses the machine can
 * only spoil: in a short run such a criterion is measured again, up to three times, unless a count was not met.
 */
export type Run = (measure: Measure, compare: Measure) => Promise<void>;

const ATTEMPTS = 3;

/**
 * A test of one criterion. It fails, and leaves a row that is not met, when `run` throws or measures nothing.
 * @param what the criterion in a few words, for the name of the test
 */
export function criterion(id: string, what: string, run: Run): void {
  if (!CRITERIA.includes(id)) throw new Error(`There is no criterion ${id}`);
  test(`${id} › ${what}`, async () => {
    let attempt = await measureOnce(id, what, run);
    for (let times = 2; !full && attempt.spoilt && times <= ATTEMPTS; times += 1)
      attempt = await measureOnce(id, what, run, ` (measurement ${times})`);
    const path = process.env['CRITERIA_FILE'];
    if (path) for (const row of attempt.rows) appendFileSync(path, `${JSON.stringify(row)}\n`);
    if (attempt.error) throw attempt.error;
    expect(attempt.rows.length).toBeGreaterThan(0);
    expect(missedOf(attempt)).toEqual([]);
  });
}

interface Attempt {
  rows: Measured[];
  /** Nothing but comparisons of times was missed. */
  spoilt: boolean;
  error?: unknown;
}

const missedOf = ({ rows }: Attempt): string[] =>
  rows.filter(({ met }) => !met).map(({ required, measured }) => `${required}: ${measured}`);

async function measureOnce(id: string, what: string, run: Run, note = ''): Promise<Attempt> {
  const rows: Measured[] = [];
  const missed = { counts: 0, times: 0 };
  const recorder =
    (kind: keyof typeof missed): Measure =>
    (required, measured, met) => {
      rows.push({ id, required, measured: `${measured}${kind === 'times' ? note : ''}`, met });
      if (!met) missed[kind] += 1;
    };
  try {
    await run(recorder('counts'), recorder('times'));
    return { rows, spoilt: missed.times > 0 && missed.counts === 0 };
  } catch (error) {
    rows.push({ id, required: what, measured: `failed: ${String((error as Error).message).split('\n')[0]}`, met: false });
    return { rows, spoilt: false, error };
  } finally {
    await runClosers();
  }
}
