/** A table as a JSON array of objects, piece by piece: the twin of `lib/csv.ts` for programs. */
import type { Cell } from './csv';

/** "Vehicle VIN" -> `vehicle_vin`. */
const keyOf = (title: string): string => title.toLowerCase().replace(/[^a-z0-9]+/g, '_');

/** The same cells as the CSV, under the header's names; numbers written as text in CSV (amounts) stay text. */
export async function* jsonChunks<Row>(
  header: readonly string[],
  batches: AsyncIterable<readonly Row[]>,
  cells: (row: Row) => readonly Cell[],
): AsyncGenerator<string> {
  const keys = header.map(keyOf);
  const objectOf = (row: Row): string => JSON.stringify(Object.fromEntries(cells(row).map((cell, index) => [keys[index], cell])));
  // The first batch is read before the bracket goes out, so a query that fails is still answered as an error.
  let started = false;
  for await (const batch of batches) {
    if (batch.length === 0) continue;
    yield (started ? ',\n' : '[') + batch.map(objectOf).join(',\n');
    started = true;
  }
  yield started ? ']\n' : '[]\n';
}
