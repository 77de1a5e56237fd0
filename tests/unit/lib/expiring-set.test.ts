import { ExpiringSet, localPins } from '../../../lib/cluster-ports';

describe('what is remembered for a while', () => {
  test('added › there until its time is over, counted from the last time it was added', () => {
    let now = 0;
    const set = new ExpiringSet(10_000, () => now);
    set.add('a');
    now = 6_000;
    set.add('a');
    now = 15_999;
    expect(set.has('a')).toBe(true);
    now = 16_000;
    expect(set.has('a')).toBe(false);
    expect(set.has('b')).toBe(false);
  });

  test('an endless stream of others › what is over is forgotten', () => {
    let now = 0;
    const set = new ExpiringSet(1_000, () => now);
    for (let index = 0; index < 5_000; index += 1) {
      now += 10;
      set.add(`session-${index}`);
    }
    expect(set.size).toBe(100);
  });

  test('for one process › pinned after it wrote, nobody else', async () => {
    const pins = localPins(1_000);
    await pins.pin('wrote');
    expect([await pins.isPinned('wrote'), await pins.isPinned('read')]).toEqual([true, false]);
  });
});
