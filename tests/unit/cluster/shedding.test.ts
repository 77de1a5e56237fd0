import fc from 'fast-check';
import {
  type Importance,
  judge,
  LoopLag,
  memoryPressure,
  NO_PRESSURE,
  type Pressures,
  retryAfter,
  SHED_CAUSES,
  shareRefused,
  worstOf,
} from '../../../server/cluster/shedding';

const CLASSES = ['background', 'normal', 'critical'] as const satisfies readonly Importance[];
const pressure = fc.double({ min: 0, max: 50, noNaN: true });
const pressures = fc.record({ pool_wait: pressure, loop_lag: pressure, memory: pressure });
const dice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const at = (pool_wait: number): Pressures => ({ pool_wait, loop_lag: 0, memory: 0 });

describe('the share that is refused', () => {
  test('any class › between none and all, and never smaller under more pressure', () => {
    fc.assert(
      fc.property(pressure, pressure, fc.constantFrom(...CLASSES), (one, other, importance) => {
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const [small, large] = [shareRefused(less, importance), shareRefused(more, importance)];
        expect(small).toBeGreaterThanOrEqual(0);
        expect(large).toBeLessThanOrEqual(1);
        expect(small).toBeLessThanOrEqual(large);
      }),
    );
  });

  test('a more important class › goes only when the one below is gone', () => {
    fc.assert(
      fc.property(pressure, (value) => {
        const [background, normal, critical] = CLASSES.map((importance) => shareRefused(value, importance));
        if (normal && normal > 0) expect(background).toBe(1);
        if (critical && critical > 0) expect(normal).toBe(1);
      }),
    );
  });

  test('pressure at the limit › no normal request yet, all background work; a third over › two thirds', () => {
    expect(CLASSES.map((importance) => shareRefused(1, importance))).toEqual([1, 0, 0]);
    expect(shareRefused(4 / 3, 'normal')).toBeCloseTo(2 / 3);
  });

  test('half the limit and less › nothing, whatever the dice', () => {
    fc.assert(
      fc.property(fc.constantFrom(...CLASSES), dice, (importance, thrown) => {
        expect(judge(at(NO_PRESSURE), importance, thrown)).toBeNull();
      }),
    );
  });

  test('no steady state of an overload › leaves the queue longer than the ramp: thrice the capacity settles at a third over the limit', () => {
    // Ten connections held 50 ms are 200 requests a second; 600 come. One step = 5 ms: 3 arrive, 1 is served.
    let queue = 0;
    let served = 0;
    const waits: number[] = [];
    let thrown = 0;
    for (let step = 0; step < 4_000; step += 1) {
      for (let arrival = 0; arrival < 3; arrival += 1) {
        const wait = (queue * 50) / 10;
        // A low-discrepancy sequence instead of chance.
        thrown = (thrown + 0.618_033_988_75) % 1;
        if (judge(at(wait / 250), 'normal', thrown) !== null) continue;
        queue += 1;
        waits.push(wait);
      }
      if (queue > 0) {
        queue -= 1;
        served += 1;
      }
    }
    waits.sort((a, b) => a - b);
    expect(served).toBeGreaterThanOrEqual(3_999);
    expect(waits.at(-1)).toBeLessThanOrEqual(375);
    expect(waits[Math.floor(waits.length / 2)]).toBeGreaterThan(300);
  });
});

test('the cause › is the worst of the pressures', () => {
  fc.assert(
    fc.property(pressures, (all) => {
      const worst = worstOf(all);
      for (const cause of SHED_CAUSES) expect(all[worst]).toBeGreaterThanOrEqual(all[cause]);
    }),
  );
});

test('Retry-After › whole seconds from 1, spread wider the more is refused, five at most', () => {
  fc.assert(
    fc.property(pressure, dice, (value, thrown) => {
      const seconds = retryAfter(value, thrown);
      expect(Number.isInteger(seconds)).toBe(true);
      expect(seconds).toBeGreaterThanOrEqual(1);
      expect(seconds).toBeLessThanOrEqual(5);
    }),
  );
  expect([0, 0.5, 0.99].map((thrown) => retryAfter(0.5, thrown))).toEqual([1, 1, 1]);
  expect([0, 0.5, 0.99].map((thrown) => retryAfter(5, thrown))).toEqual([1, 3, 5]);
});

test('memory › felt in the last tenth before the limit, complete at it', () => {
  expect(memoryPressure(500, 1000, 0.9)).toBe(0);
  expect(memoryPressure(900, 1000, 0.9)).toBeCloseTo(1);
  expect(memoryPressure(1000, 1000, 0.9)).toBeCloseTo(2);
});

describe('the lag of the event loop', () => {
  const PERIOD = 20;
  const newLag = () => new LoopLag({ periodMs: PERIOD, longMs: 75, now: 0 });
  /** Passes of the given lengths, one after another; returns the time at which the last one ended. */
  const pass = (lag: LoopLag, from: number, ...lengths: number[]): number =>
    lengths.reduce((now, length) => {
      lag.tick(now + length);
      return now + length;
    }, from);
  const anHour = (lag: LoopLag): number => {
    for (let now = PERIOD; now <= 3_600_000; now += PERIOD) lag.tick(now);
    return 3_600_000;
  };

  test('an hour of short passes › no lag', () => {
    const lag = newLag();
    const now = anHour(lag);
    expect(lag.standingMs(now + PERIOD)).toBe(0);
  });

  test('one long pass, however long › a hiccup: its own rest and the next pass do not count', () => {
    const lag = newLag();
    const now = pass(lag, 0, PERIOD, PERIOD);
    expect(lag.standingMs(now + 5_000)).toBe(0);
    lag.tick(now + 5_000);
    expect(lag.standingMs(now + 5_400)).toBe(0);
  });

  test('passes that stay long › from the third on their age counts, until one is short again', () => {
    const lag = newLag();
    let now = pass(lag, 0, PERIOD, 120, 200);
    expect(lag.standingMs(now + PERIOD)).toBe(0);
    expect(lag.standingMs(now + PERIOD + 150)).toBe(150);
    now = pass(lag, now, 200);
    expect(lag.standingMs(now + PERIOD + 60)).toBe(60);
    now = pass(lag, now, PERIOD);
    expect(lag.standingMs(now + PERIOD + 500)).toBe(0);
  });

  test('an overload after an hour without work › counts within a second', () => {
    const lag = newLag();
    let now = anHour(lag);
    const began = now;
    // Three times as much comes as can be done: each pass is thrice as long as the one before.
    let length = PERIOD;
    while (lag.standingMs(now + length) < 150) {
      now = pass(lag, now, length);
      length *= 3;
    }
    expect(now + PERIOD + 150 - began).toBeLessThan(1_000);
  });
});
