import { BusyPrimary } from '../../../server/ops/busy-primary';

const read = (busy: BusyPrimary, readings: number[]) => readings.map((elu) => busy.read(elu));

test('three seconds over a half › said once', () => {
  const busy = new BusyPrimary();
  expect(read(busy, [0.6, 0.7, 0.51, 0.9, 0.9])).toEqual([null, null, 'raised', null, null]);
});

test('a peak of two seconds › not said', () => {
  expect(read(new BusyPrimary(), [0.9, 0.9, 0.2, 0.9, 0.9, 0.5])).not.toContain('raised');
});

test('half a minute at ease › cleared, and said again next time', () => {
  const busy = new BusyPrimary();
  read(busy, [1, 1, 1]);
  expect(read(busy, new Array<number>(29).fill(0.5))).not.toContain('cleared');
  expect(busy.read(0.1)).toBe('cleared');
  expect(read(busy, [1, 1, 1]).at(-1)).toBe('raised');
});
