/** CSV by RFC 4180: CRLF, quotes where needed, and no cell that a spreadsheet would run as a formula. */

export type Cell = string | number | boolean | null;

const FORMULA = /^[=+\-@\t\r]/;
const PLAIN_NUMBER = /^-?\d+(\.\d+)?$/;
const NEEDS_QUOTES = /[",\r\n]/;

/** A text that looks like a formula gets a leading apostrophe; a plain negative number stays a number. */
function cell(value: Cell): string {
  if (value === null) return '';
  const text = String(value);
  const safe = FORMULA.test(text) && !PLAIN_NUMBER.test(text) ? `'${text}` : text;
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line with its CRLF. */
export const csvLine = (cells: readonly Cell[]): string => `${cells.map(cell).join(',')}\r\n`;

/** Turns batches of rows into the pieces of a file: the header first, also when there is no row. */
export async function* csvChunks<Row>(
  header: readonly string[],
  batches: AsyncIterable<readonly Row[]>,
  cells: (row: Row) => readonly Cell[],
): AsyncGenerator<string> {
  // The first batch is read before the header goes out, so a query that fails is still answered as an error.
  let started = false;
  for await (const batch of batches) {
    const lines = batch.map((row) => csvLine(cells(row))).join('');
    yield started ? lines : csvLine(header) + lines;
    started = true;
  }
  if (!started) yield csvLine(header);
}
