/**
 * The criteria of the cluster, K1 to K24: each a test that measures the running service and leaves rows (required, measured, met) for
 * the table that `npm run test:cluster` prints. CRITERIA=full (`npm run bench:cluster`) takes the full counts and the time limits of
 * an idle machine; otherwise a tenth of the counts and three times the time. Ratios are the same in both.
 */
import { appendFileSync } from 'node:fs';

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
 * A test of one criterion. It fails, and leaves a row that is not met, when `run` throws or measures nothing.
 * @param what the criterion in a few words, for the name of the test
 */
export function criterion(id: string, what: string, run: (measure: Measure) => Promise<void>): void {
  if (!CRITERIA.includes(id)) throw new Error(`There is no criterion ${id}`);
  test(`${id} › ${what}`, async () => {
    const missed: string[] = [];
    let measured = 0;
    const record = (row: Omit<Measured, 'id'>) => {
      measured += 1;
      if (!row.met) missed.push(`${row.required}: ${row.measured}`);
      const path = process.env['CRITERIA_FILE'];
      if (path) appendFileSync(path, `${JSON.stringify({ id, ...row })}\n`);
    };
    try {
      await run((required, value, met) => record({ required, measured: String(value), met }));
    } catch (error) {
      record({ required: what, measured: `failed: ${String((error as Error).message).split('\n')[0]}`, met: false });
      throw error;
    }
    expect(measured).toBeGreaterThan(0);
    expect(missed).toEqual([]);
  });
}
