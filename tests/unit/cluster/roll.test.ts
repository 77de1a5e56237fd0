import fc from 'fast-check';
import { Roll } from '../../../server/cluster/roll';
import type { WorkerState } from '../../../server/cluster/worker-state';

const CANARY_MS = 10_000;

interface Fake {
  id: number;
  state: WorkerState;
  bornAt: number;
  readyAt: number | null;
}

/** A cluster that does what the roll says, one replacement at a time, with a build that boots or not and lives or not. */
function simulate({
  workers,
  boots,
  lives,
}: {
  workers: number;
  /** Time to ready of each replacement in turn; null = never ready. */
  boots: readonly (number | null)[];
  /** How long each lives after it was ready; null = for good. */
  lives: readonly (number | null)[];
}) {
  let now = 1_000;
  let made = 0;
  let current: { old: Fake; fresh: Fake; boot: number | null; life: number | null } | null = null;
  const all: Fake[] = Array.from({ length: workers }, (_, id) => ({ id, state: 'ready', bornAt: 0, readyAt: 0 }));
  const roll = new Roll<Fake>(CANARY_MS);
  let leastBeforeRelease = workers;
  let released = 0;
  const serving = () => all.filter(({ state }) => state === 'ready').length;
  roll.begin(all, now);
  roll.checked(all, now);
  for (let step = 0; step < 5_000 && roll.underWay; step += 1) {
    now += 100;
    for (const worker of all) {
      if (worker !== current?.fresh || worker.state === 'gone') continue;
      const age = now - worker.bornAt;
      if (worker.state === 'forked' && current.boot !== null && age >= current.boot)
        Object.assign(worker, { state: 'ready', readyAt: now });
      const died =
        (worker.state === 'forked' && current.boot === null && age > 5_000) ||
        (worker.readyAt !== null && current.life !== null && now - worker.readyAt >= current.life);
      if (!died) continue;
      worker.state = 'gone';
      if (current.old.state === 'ready') current = null;
      if (roll.onDeath(worker, now)) roll.end('aborted', 'it died', now);
    }
    if (released === 0) leastBeforeRelease = Math.min(leastBeforeRelease, serving());
    if (current) {
      if (current.old.state === 'draining') {
        current.old.state = 'gone';
        current = null;
      } else if (roll.mayRelease(current.fresh, now)) {
        current.old.state = 'draining';
        released += 1;
      }
      continue;
    }
    const next = roll.next(all, workers, now);
    if (next) {
      const fresh: Fake = { id: all.length, state: 'forked', bornAt: now, readyAt: null };
      current = { old: next, fresh, boot: boots[made] ?? 500, life: lives[made] ?? null };
      if (boots[made] === null) current.boot = null;
      made += 1;
      all.push(fresh);
      roll.replacing(fresh);
    } else if (roll.isComplete(all, now)) roll.end('completed', null, now);
  }
  return { roll, all, leastBeforeRelease, released, serving: serving() };
}

test('a sound build › every worker born before the roll is gone, as many serve as before', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.integer({ min: 0, max: 20_000 }), { maxLength: 8 }), (workers, boots) => {
      const { roll, all, serving } = simulate({ workers, boots, lives: [] });
      expect(roll.status).toMatchObject({ state: 'idle', done: workers, total: workers, last: { result: 'completed' } });
      expect(all.filter(({ bornAt, state }) => bornAt === 0 && state !== 'gone')).toEqual([]);
      expect(serving).toBe(workers);
    }),
  );
});

test('the first replacement never gets ready, or dies within the canary time › aborted, and no worker was told to go', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 20_000 })),
      fc.integer({ min: 0, max: CANARY_MS - 200 }),
      (workers, boot, life) => {
        const { roll, released, leastBeforeRelease, serving } = simulate({ workers, boots: [boot], lives: [life] });
        expect(roll.status).toMatchObject({ state: 'idle', last: { result: 'aborted', reason: 'it died' } });
        expect(released).toBe(0);
        expect(leastBeforeRelease).toBeGreaterThanOrEqual(workers);
        expect(serving).toBe(workers);
      },
    ),
  );
});

test('before the check has passed, and after a death that condemns the build › nobody is replaced', () => {
  const old: Fake = { id: 1, state: 'ready', bornAt: 0, readyAt: 0 };
  const roll = new Roll<Fake>(CANARY_MS);
  roll.begin([old], 10);
  expect(roll.next([old], 1, 20)).toBeNull();
  expect(roll.isComplete([old], 20)).toBe(false);
  roll.checked([old], 25);
  expect(roll.next([old], 1, 30)).toBe(old);
  const fresh: Fake = { id: 2, state: 'ready', bornAt: 30, readyAt: 40 };
  roll.replacing(fresh);
  expect(roll.onDeath({ ...fresh }, 50)).toBe(false);
  expect(roll.onDeath(fresh, 50)).toBe(true);
  expect(roll.next([old], 1, 20_000)).toBeNull();
  expect(roll.mayRelease(fresh, 20_000)).toBe(false);
  expect(roll.isComplete([], 20_000)).toBe(false);
});

test('scaled down meanwhile › those that went were not replaced, and no more are to be', () => {
  const workers: Fake[] = [1, 2, 3, 4].map((id) => ({ id, state: 'ready', bornAt: 0, readyAt: 0 }));
  const roll = new Roll<Fake>(CANARY_MS);
  roll.begin(workers, 10);
  roll.checked(workers, 20);
  roll.next(workers.slice(0, 2), 2, 30);
  expect(roll.status).toMatchObject({ done: 0, total: 2 });
  const fresh: Fake = { id: 5, state: 'ready', bornAt: 30, readyAt: 40 };
  roll.replacing(fresh);
  roll.next([fresh, ...workers.slice(1, 2)], 2, 20_000);
  expect(roll.status).toMatchObject({ done: 1, total: 2 });
});

test('a roll that is not known › no promise of its end', async () => {
  const roll = new Roll<Fake>(CANARY_MS);
  expect(() => roll.ended(0)).toThrow(RangeError);
  const id = roll.begin([], 0);
  const ended = roll.ended(id);
  roll.end('aborted', 'why', 5);
  await expect(ended).resolves.toEqual({ result: 'aborted', reason: 'why', ms: 5 });
  await expect(roll.ended(id)).resolves.toEqual({ result: 'aborted', reason: 'why', ms: 5 });
  expect(() => roll.ended(id + 1)).toThrow(RangeError);
});
