import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { type StoredFile, surplusFiles } from '../../../server/cluster/evidence-folder';
import { blame, stallKind, type ThreadObservations } from '../../../server/cluster/stall-kind';
import { StallWatch } from '../../../server/cluster/stall-watch';
import { followStalls, type Stalling, StallRecord } from '../../../server/cluster/stalls';
import { takeWatchdogArguments, watchdogArguments } from '../../../server/cluster/watchdog-lines';

const LIMITS = { beatMs: 50, warnMs: 250, stuckMs: 1_000, pauseMs: 500 };

/** Looks each 25 ms at a loop that beats each 50 ms, except in the stalls given as [from, to). */
function watch(stalls: readonly (readonly [number, number])[], until: number): { type: string; ms: number; at: number }[] {
  const watcher = new StallWatch(LIMITS, { beats: 0, now: 0 });
  const seen: { type: string; ms: number; at: number }[] = [];
  let beats = 0;
  for (let now = 25; now <= until; now += 25) {
    const stands = stalls.some(([from, to]) => now >= from && now < to);
    if (!stands && now % 50 === 0) beats += 1;
    const news = watcher.look(beats, now);
    if (news) seen.push({ ...news, at: now });
  }
  return seen;
}

describe('the watch over an event loop', () => {
  test('a stall of 3 s › blocked within 375 ms of its beginning, stuck after a second, freed with its length', () => {
    expect(watch([[1_000, 4_000]], 5_000)).toEqual([
      { type: 'blocked', ms: 250, at: 1_250 },
      { type: 'stuck', ms: 1_000, at: 2_000 },
      { type: 'freed', ms: 3_000, at: 4_000 },
    ]);
  });

  test('pauses of 200 ms, one after the other › no news', () => {
    const pauses = Array.from({ length: 40 }, (_, index) => [index * 250 + 10, index * 250 + 210] as const);
    expect(watch(pauses, 10_000)).toEqual([]);
  });

  test('the whole process stood still › not a stall of its loop', () => {
    const watcher = new StallWatch(LIMITS, { beats: 7, now: 0 });
    expect(watcher.look(7, 25)).toBeNull();
    expect(watcher.look(7, 60_000)).toBeNull();
    expect(watcher.look(8, 60_025)).toBeNull();
  });

  test('any stalls › news come in order, each stall that is long enough is reported once, and freed', () => {
    const gaps = fc.array(fc.tuple(fc.integer({ min: 100, max: 2_000 }), fc.integer({ min: 0, max: 3_000 })), { maxLength: 12 });
    fc.assert(
      fc.property(gaps, (pairs) => {
        let now = 0;
        const stalls = pairs.map(([rest, length]) => {
          const from = now + rest;
          now = from + length;
          return [from, now] as const;
        });
        const seen = watch(stalls, now + 500);
        const rank = { blocked: 0, stuck: 1, freed: 2 } as Record<string, number>;
        seen.forEach(({ type }, index) => {
          const before = index === 0 ? 2 : (rank[seen[index - 1]?.type ?? ''] ?? -1);
          expect(type === 'blocked' ? before === 2 : (rank[type] ?? -1) > before).toBe(true);
        });
        const blocked = seen.filter(({ type }) => type === 'blocked');
        expect(blocked.length).toBeGreaterThanOrEqual(stalls.filter(([from, to]) => to - from >= 375).length);
        expect(blocked.length).toBeLessThanOrEqual(stalls.filter(([from, to]) => to - from >= 200).length);
        expect(seen.filter(({ type }) => type === 'freed').length).toBe(blocked.length);
      }),
    );
  });
});

describe('the kind of a stall', () => {
  const observed = fc.record({
    hasStack: fc.boolean(),
    states: fc.dictionary(fc.constantFrom('R', 'S', 'D', 'T'), fc.nat(50)),
    cpuMs: fc.option(fc.nat(2_000)),
    wallMs: fc.integer({ min: 0, max: 2_000 }),
  }) as fc.Arbitrary<ThreadObservations>;

  test('anything observed › JavaScript exactly when there is a stack, else computing or waiting', () => {
    fc.assert(fc.property(observed, (one) => (stallKind(one) === 'js') === one.hasStack));
  });

  test('more processor time › never turns computing into waiting', () => {
    fc.assert(
      fc.property(observed, fc.nat(1_000), (one, more) => {
        fc.pre(stallKind(one) === 'native-cpu' && one.cpuMs !== null);
        expect(stallKind({ ...one, cpuMs: (one.cpuMs ?? 0) + more })).toBe('native-cpu');
      }),
    );
  });

  test.each([
    ['runnable all the time on a busy machine', { R: 15 }, 30, 'native-cpu'],
    ['asleep', { S: 15 }, 0, 'native-wait'],
    ['waiting for a disk', { D: 14, R: 1 }, 10, 'native-wait'],
    ['a system that tells nothing', {}, null, 'native-wait'],
    ['a system that tells only processor time', {}, 280, 'native-cpu'],
  ])('%s', (_what, states, cpuMs, kind) => {
    expect(stallKind({ hasStack: false, states: states as Record<string, number>, cpuMs, wallMs: 300 })).toBe(kind);
  });
});

describe('whom to blame', () => {
  const [a, b] = [
    { id: 'a', route: 'listA', age: 900 },
    { id: 'b', route: 'listB', age: 300 },
  ];
  test('the loop names its context › that one, with route and age as known', () => {
    expect(blame({ inHand: [a, b], last: { ...a, fresh: true } }, { id: 'b', operation: 'http' })).toEqual({ ...b, source: 'context' });
    expect(blame({ inHand: [], last: null }, { id: 'x', operation: 'clean.up' })).toEqual({
      id: 'x',
      route: 'clean.up',
      age: 0,
      source: 'context',
    });
  });
  test('nobody is named › the one that ran last, the only one, or the one that ran before; else nobody', () => {
    expect(blame({ inHand: [a, b], last: { ...a, fresh: true } }, null)?.source).toBe('ran_last');
    expect(blame({ inHand: [a], last: null }, null)).toEqual({ ...a, source: 'only_one' });
    expect(blame({ inHand: [a, b], last: { ...b, fresh: false } }, null)).toEqual({ ...b, source: 'ran_earlier' });
    expect(blame({ inHand: [a, b], last: null }, null)).toBeNull();
  });
});

describe('the folder of evidence', () => {
  const files = fc.uniqueArray(fc.record({ name: fc.string({ minLength: 1 }), bytes: fc.nat(1_000), at: fc.nat(100) }), {
    selector: ({ name }) => name,
  });

  test('any files › room for one more, the oldest go, and not one more than needed', () => {
    fc.assert(
      fc.property(files, fc.nat(2_000), fc.integer({ min: 1, max: 20 }), (stored: StoredFile[], incoming, most) => {
        const limits = { files: most, bytes: 2_000 };
        const surplus = surplusFiles(stored, incoming, limits);
        const kept = stored.filter((file) => !surplus.includes(file));
        const fits = (some: readonly StoredFile[]) =>
          some.length < limits.files && some.reduce((sum, { bytes }) => sum + bytes, incoming) <= limits.bytes;
        expect(fits(kept)).toBe(true);
        for (const gone of surplus) for (const stays of kept) expect(gone.at).toBeLessThanOrEqual(stays.at);
        const last = surplus.at(-1);
        if (last) expect(fits([...kept, last])).toBe(false);
      }),
    );
  });
});

describe('the stalls of one process as the primary knows them', () => {
  const request = { id: 'r', route: 'listA', age: 10, source: 'ran_last' } as const;
  const blocked = (stall: number, ms = 250) => ({ type: 'blocked', stall, ms, request, in_flight: 1 }) as const;

  test('blocked, stuck, evidence, freed › since, out of dispatch, waiting for evidence, kept', () => {
    const record = new StallRecord();
    expect(record.apply(blocked(1), 10_250)).toBe(false);
    expect(record.since).toBe(10_000);
    expect(record.isStuck(10_900)).toBe(false);
    expect(record.isStuck(11_000)).toBe(true);
    record.apply({ ...blocked(1, 1_000), type: 'stuck' }, 11_000);
    expect(record.isTakingEvidence(12_900)).toBe(true);
    expect(record.isTakingEvidence(13_000)).toBe(false);
    const evidence = {
      type: 'evidence',
      stall: 1,
      kind: 'js',
      request: { ...request, id: 's', source: 'context' },
      stack: ['f (a.js:1)'],
      artefact: '/e/1',
      problem: null,
    } as const;
    record.apply({ ...evidence, stack: [...evidence.stack], complete: true }, 11_500);
    expect(record.isTakingEvidence(11_500)).toBe(false);
    expect(record.apply({ type: 'freed', stall: 1, ms: 3_000 }, 13_000)).toBe(true);
    expect(record.since).toBeNull();
    expect(record.count).toBe(1);
    expect(record.last).toMatchObject({ ms: 3_000, kind: 'js', route: 'listA', request_id: 's', source: 'context', artefact: '/e/1' });
  });

  test('late evidence of a stall before › says nothing about the one that lasts', () => {
    const record = new StallRecord();
    record.apply(blocked(1), 1_000);
    record.apply({ type: 'freed', stall: 1, ms: 300 }, 1_100);
    record.apply(blocked(2), 2_000);
    record.apply(
      { type: 'evidence', stall: 1, kind: 'js', request: null, stack: ['old'], artefact: '/e/1', problem: null, complete: true },
      2_100,
    );
    expect(record.last).toMatchObject({ kind: null, stack: [], artefact: null });
    expect(record.count).toBe(2);
  });

  test('lines in pieces, torn ones and rubbish › what is whole counts', async () => {
    const pipe = new PassThrough();
    const worker: Stalling = { id: 'w1', kind: 'http', slot: 1, pid: 4711, stalls: new StallRecord() };
    followStalls(
      pipe,
      () => worker,
      () => 5_000,
    );
    const text = `${JSON.stringify(blocked(1))}\nrubbish\n{"type":"other"}\n${JSON.stringify(blocked(2))}`;
    for (const letter of text) pipe.write(letter);
    pipe.end();
    await new Promise((resolve) => pipe.once('end', resolve));
    expect(worker.stalls.count).toBe(1);
  });
});

test('the arguments of a child › name the primary that watches it and are taken away; without them nobody does', () => {
  const argv = ['node', 'migrate.js', ...watchdogArguments(4711, true), 'up'];
  expect(takeWatchdogArguments(argv)).toEqual({ primary: 4711, atOnce: true });
  expect(argv).toEqual(['node', 'migrate.js', 'up']);
  expect(takeWatchdogArguments(['node', 'worker.js', ...watchdogArguments(4711, false)])).toEqual({ primary: 4711, atOnce: false });
  expect(takeWatchdogArguments(['node', 'worker.js'])).toEqual({ primary: null, atOnce: false });
  expect(takeWatchdogArguments(['node', '--watched-by=x', '--watched-at-once'])).toEqual({ primary: null, atOnce: false });
});
