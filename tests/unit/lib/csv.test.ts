import { csvChunks, csvLine } from '../../../lib/csv';

async function* batches<T>(...all: T[][]): AsyncGenerator<T[]> {
  for (const batch of all) yield batch;
}
async function text(chunks: AsyncIterable<string>): Promise<string> {
  let whole = '';
  for await (const chunk of chunks) whole += chunk;
  return whole;
}

describe('csvLine', () => {
  test.each<[unknown, string]>([
    ['plain', 'plain'],
    ['a,b', '"a,b"'],
    ['say "hi"', '"say ""hi"""'],
    ['two\nlines', '"two\nlines"'],
    [null, ''],
    [true, 'true'],
    [-12.5, '-12.5'],
    ['-12.5', '-12.5'],
    ['=1+1', "'=1+1"],
    ['+15550001111', "'+15550001111"],
    ['-1+1', "'-1+1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\tx', "'\tx"],
    ['\rx', '"\'\rx"'],
    ['=a,b', '"\'=a,b"'],
  ])('%p › %p', (value, cell) => {
    expect(csvLine([value as string])).toBe(`${cell}\r\n`);
  });
});

describe('csvChunks', () => {
  test('batches › the header once, then a line for each row', async () => {
    expect(await text(csvChunks(['A', 'B'], batches([1, 2], [3]), (n) => [n, n * 2]))).toBe('A,B\r\n1,2\r\n2,4\r\n3,6\r\n');
  });
  test('no rows › the header alone', async () => {
    expect(await text(csvChunks(['A'], batches<number>(), (n) => [n]))).toBe('A\r\n');
  });
  test('the source fails at once › nothing was sent', async () => {
    // biome-ignore lint/correctness/useYield: fails before it yields
    const failing = (async function* (): AsyncGenerator<number[]> {
      throw new Error('no database');
    })();
    await expect(csvChunks(['A'], failing, (n) => [n]).next()).rejects.toThrow('no database');
  });
});
