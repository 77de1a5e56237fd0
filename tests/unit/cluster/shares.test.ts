import fc from 'fast-check';
import { Roster } from '../../../server/cluster/roster';
import { Shares } from '../../../server/cluster/shares';
import { Tail } from '../../../server/cluster/tail';
import { type Child, WorkerHandle } from '../../../server/cluster/worker-handle';
import { FakeChild } from './world';

/** A worker that serves with its share, the first of two: 7 of 20 connections, or 4 when they are divided by four. */
function serving(): { shares: Shares; worker: WorkerHandle; child: FakeChild } {
  const roster = new Roster();
  const shares = new Shares({ workers: 2, poolMin: 4, poolMax: 20, jobs: false }, roster);
  const child = new FakeChild();
  const identity = { id: 'w1', kind: 'http' as const, slot: 1, now: 0, requestLimit: 0, maxAgeMs: 0, tail: new Tail(() => undefined) };
  const events = { onMessage: () => undefined, onExit: () => undefined, onSettled: () => undefined };
  const worker = new WorkerHandle(child as unknown as Child, identity, events);
  roster.add(worker);
  worker.moveTo('hello');
  shares.grantWaiting(0);
  worker.moveTo('ready');
  return { shares, worker, child };
}

/** The answers to 7, 4 and 4 again come after each of them was overtaken by the next. */
const OVERTAKEN = ['four', 'answer', 'two', 'four', 'answer', 'answer', 'two', 'answer'] as const;

const toldTo = ({ sent }: FakeChild): number[] => sent.flatMap((message) => ('poolMax' in message ? [message.poolMax] : []));

test('answers that come late, however the number of workers changes meanwhile › nobody may open more than is in the books', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('two', 'four', 'answer'), { maxLength: 60 }), (acts) => {
      const { shares, worker, child } = serving();
      // The grant is not answered; every change is, in their order.
      let answered = 0;
      for (const what of acts) {
        const max = toldTo(child)[answered + 1];
        if (what !== 'answer') shares.divide(what === 'two' ? 2 : 4);
        else if (max !== undefined) {
          answered += 1;
          shares.returned(worker, max);
        }
        // What is free at this moment goes to whoever waits for it.
        expect(shares.ledger.grantOf(worker.id)?.max).toBeGreaterThanOrEqual(Math.max(...toldTo(child).slice(answered)));
        shares.rebalance({ target: 1, replacing: false });
      }
    }),
    { examples: [[[...OVERTAKEN]]] },
  );
});

test('a worker that has not taken one size yet › is told the next one when it has', () => {
  const { shares, worker, child } = serving();
  const divide = (count: number) => {
    shares.divide(count);
    shares.rebalance({ target: 1, replacing: false });
    return toldTo(child).slice(1);
  };
  const answer = (max: number) => {
    shares.returned(worker, max);
    shares.rebalance({ target: 1, replacing: false });
    return toldTo(child).slice(1);
  };
  expect(divide(4)).toEqual([4]);
  expect(divide(2)).toEqual([4]);
  expect(answer(4)).toEqual([4, 7]);
  expect(divide(4)).toEqual([4, 7]);
  expect(answer(7)).toEqual([4, 7, 4]);
});

test('an answer to another size than the one asked for › changes nothing', () => {
  const { shares, worker } = serving();
  shares.divide(4);
  shares.rebalance({ target: 1, replacing: false });
  shares.returned(worker, 7);
  expect(shares.ledger.grantOf(worker.id)?.max).toBe(7);
  expect(worker.resizingTo).toBe(4);
  shares.returned(worker, 4);
  expect(shares.ledger.grantOf(worker.id)?.max).toBe(4);
  shares.returned(worker, 2);
  expect(shares.ledger.grantOf(worker.id)?.max).toBe(4);
});
