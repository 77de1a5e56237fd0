import { stat } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Books } from '../../../server/cluster/books';
import { SnapshotStore } from '../../../server/cluster/snapshots';
import { Tail } from '../../../server/cluster/tail';
import { type Child, type HandleEvents, WorkerHandle } from '../../../server/cluster/worker-handle';
import { standStill } from '../../support/stand-still';
import { FakeChild, REPORT } from './world';

function handleOf(child: FakeChild, events: Partial<HandleEvents> = {}): WorkerHandle {
  const identity = { id: 'w1', kind: 'http' as const, slot: 1, now: 0, requestLimit: 0, maxAgeMs: 0, tail: new Tail(() => undefined) };
  const nothing = { onMessage: () => undefined, onExit: () => undefined, onSettled: () => undefined };
  return new WorkerHandle(child as unknown as Child, identity, { ...nothing, ...events });
}

describe('the end of a child', () => {
  test('the primary does not get to its channel for longer than is waited for › what lies there is read before the account is closed', async () => {
    const child = new FakeChild();
    const happened: string[] = [];
    handleOf(child, { onMessage: ({ id }, { type }) => happened.push(`${id} ${type}`), onSettled: () => happened.push('settled') });
    await nextTurn();
    child.emit('exit', 0, null);
    // Like a message, its outcome is there while the event loop stands still, and is read after the timers that are due.
    stat('.', () => child.reports());
    standStill(600);
    await nextTurn();
    await nextTurn();
    expect(happened).toEqual(['w1 report', 'settled']);
  });

  test('what comes after that › is not counted a second time', async () => {
    const child = new FakeChild();
    const store = new SnapshotStore();
    const retired: Promise<void>[] = [];
    handleOf(child, {
      onMessage: ({ id }, message) => {
        if (message.type === 'report') store.push(id, message.metrics);
      },
      onSettled: ({ id }) => retired.push(store.retire(id, false)),
    });
    const says = () =>
      child.says({
        type: 'report',
        report: REPORT,
        metrics: [{ name: 'requests', help: '', type: 'counter', aggregator: 'sum', values: [{ value: 7, labels: {} }] }],
      });
    says();
    child.exits(1);
    await Promise.all(retired);
    says();
    expect(store.total('requests')).toBe(7);
  });
});

test('processor time of children › does not fall between the end of one and the closing of its account', () => {
  const books = new Books(new SnapshotStore());
  const [one, other] = [3, 5].map((cpu_s) => {
    const worker = handleOf(new FakeChild());
    worker.report = { ...REPORT, cpu_s };
    return worker;
  }) as [WorkerHandle, WorkerHandle];
  expect(books.cpuSeconds([one, other])).toBe(8);
  expect(books.cpuSeconds([other])).toBe(8);
  one.report = { ...REPORT, cpu_s: 4 };
  expect(books.cpuSeconds([other])).toBe(9);
  books.settle(one);
  expect(books.cpuSeconds([other])).toBe(9);
});
