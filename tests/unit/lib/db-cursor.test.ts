import fc from 'fast-check';
import { withTakeover } from '../../../lib/db-cursor';

class Lost extends Error {}
interface Row {
  n: number;
}

async function* batches(rows: readonly number[], { size, failAfter, error }: { size: number; failAfter?: number; error?: Error }) {
  for (let from = 0; from < rows.length; from += size) {
    if (failAfter !== undefined && from >= failAfter) throw error ?? new Lost();
    yield rows.slice(from, from + size).map((n): Row => ({ n }));
  }
  if (failAfter !== undefined) throw error ?? new Lost();
}

async function collect(rows: AsyncIterable<Row[]>): Promise<number[]> {
  const all: number[] = [];
  for await (const batch of rows) all.push(...batch.map(({ n }) => n));
  return all;
}

const isLost = (error: unknown): boolean => error instanceof Lost;
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('one server goes on where another was lost', () => {
  test('nothing is lost › the second is never asked', async () => {
    const second = jest.fn();
    expect(await collect(withTakeover<Row>({ first: batches(upTo(7), { size: 3 }), second, isLost }))).toEqual(upTo(7));
    expect(second).not.toHaveBeenCalled();
  });

  test('wherever it is lost, however the batches are cut › the rows of the second, each once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(40),
        fc.nat(45),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        async (count, failAfter, size, other) => {
          const rows = upTo(count);
          const second = () => batches(rows, { size: other });
          expect(await collect(withTakeover<Row>({ first: batches(rows, { size, failAfter }), second, isLost }))).toEqual(rows);
        },
      ),
    );
  });

  test('lost before the first row › whatever the second has', async () => {
    const first = batches([1, 2, 3], { size: 2, failAfter: 0 });
    expect(await collect(withTakeover<Row>({ first, second: () => batches([7, 8], { size: 5 }), isLost }))).toEqual([7, 8]);
  });

  test.each([
    ['another row', [0, 9, 2, 3, 4, 5]],
    ['a row more', [0, 0, 1, 2, 3, 4]],
    ['a row less', [0, 2, 3, 4, 5]],
    ['fewer rows than were sent', [0]],
    ['nothing', []],
  ])('the second begins with %s › refused', async (_name, rows) => {
    const first = batches(upTo(6), { size: 2, failAfter: 4 });
    const read = collect(withTakeover<Row>({ first, second: () => batches(rows, { size: 4 }), isLost }));
    await expect(read).rejects.toMatchObject({ reason: 'replica_lost', cause: expect.any(Lost) });
  });

  test('another error › passed on, the second not asked', async () => {
    const second = jest.fn();
    const error = new TypeError('a defect');
    const first = batches(upTo(4), { size: 2, failAfter: 2, error });
    await expect(collect(withTakeover<Row>({ first, second, isLost }))).rejects.toBe(error);
    expect(second).not.toHaveBeenCalled();
  });

  test('the second is lost as well › its error', async () => {
    const gone = new Lost();
    const first = batches(upTo(4), { size: 2, failAfter: 2 });
    await expect(
      collect(withTakeover<Row>({ first, second: () => batches(upTo(4), { size: 2, failAfter: 2, error: gone }), isLost })),
    ).rejects.toBe(gone);
  });
});
