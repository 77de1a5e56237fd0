import { EventEmitter } from 'node:events';
import { Dispatcher, type TakingChild } from '../../../server/cluster/dispatcher';
import { TAKE_BACK_MS, type ToTaker } from '../../../server/cluster/handover';

let now = 0;

/** A child process that answers only when it is told to. */
class FakeChild extends EventEmitter {
  readonly pid: number;
  connected = true;
  fails = false;
  readonly sent: { message: ToTaker; handle: unknown }[] = [];
  readonly worker: {
    pid: number;
    state: 'ready' | 'draining';
    drain: null;
    killReason: null;
    stalledSince: number | null;
    report: { typical_ms: number | null };
  };

  constructor(pid: number) {
    super();
    this.pid = pid;
    this.worker = { pid, state: 'ready', drain: null, killReason: null, stalledSince: null, report: { typical_ms: null } };
  }

  send(message: ToTaker, handle: unknown, _options: unknown, done: (error: Error | null) => void): boolean {
    this.sent.push({ message, handle });
    done(this.fails ? new Error('EPIPE') : null);
    return true;
  }

  /** Numbers that it was given, oldest first. */
  get given(): number[] {
    return this.sent.flatMap(({ message, handle }) => ('give' in message && handle !== undefined ? [message.give] : []));
  }

  /** Numbers of which it was asked, without the connection, what has become of them. */
  get asked(): number[] {
    return this.sent.flatMap(({ message, handle }) => ('give' in message && handle === undefined ? [message.give] : []));
  }

  /** How many it was asked to let go, each time. */
  get released(): number[] {
    return this.sent.flatMap(({ message }) => ('release' in message ? [message.release] : []));
  }

  /** How many it has taken. */
  taken = 0;

  take(closed: number[] = []): number {
    const took = this.given.at(-1) as number;
    this.taken += 1;
    this.emit('message', { took, closed });
    return took;
  }

  refuse(): void {
    this.emit('message', { refused: this.given.at(-1), closed: [] });
  }

  die(): void {
    this.connected = false;
    this.emit('exit', null, 'SIGKILL');
    jest.advanceTimersByTime(51);
  }
}

class FakeConnection {
  readonly handle = {};
  readonly address: string | null;
  closed = false;
  refused = false;

  constructor(address: string | null = null) {
    this.address = address;
  }

  close(): void {
    this.closed = true;
  }

  refuse(): void {
    this.refused = true;
  }
}

function setUp(workers: number, options: { maxConnections?: number; maxPerAddress?: number } = {}) {
  const dispatcher = new Dispatcher({ maxConnections: 1_000, maxPerAddress: 0, now: () => now, ...options });
  const children = Array.from({ length: workers }, (_, index) => new FakeChild(index + 1));
  for (const child of children) dispatcher.follow(child as unknown as TakingChild);
  const update = () => dispatcher.update(children.map(({ worker }) => worker));
  const connect = (address?: string) => {
    const connection = new FakeConnection(address);
    dispatcher.accept(connection);
    return connection;
  };
  /** Time passes as it does: with a look ten times a second. */
  const pass = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100;
      dispatcher.tick();
    }
  };
  return { dispatcher, children: children as [FakeChild, FakeChild], update, connect, pass };
}

beforeEach(() => {
  now = 0;
  jest.useFakeTimers();
});
afterEach(() => jest.useRealTimers());

test('a connection before any worker is ready › waits, and goes to the first that is', () => {
  const { dispatcher, children, update, connect } = setUp(1);
  connect();
  expect(dispatcher.numbers).toMatchObject({ accepted: 1, waiting: 1, live: 0 });
  update();
  expect(children[0].given).toHaveLength(1);
  expect(dispatcher.numbers).toMatchObject({ waiting: 0, live: 1, unacked: 1 });
});

test('a connection is taken › the copy here is closed, and not before', () => {
  const { dispatcher, children, update, connect } = setUp(1);
  update();
  const connection = connect();
  expect(connection.closed).toBe(false);
  const number = children[0].take();
  expect(connection.closed).toBe(true);
  expect(dispatcher.numbers).toMatchObject({ live: 1, unacked: 0 });
  children[0].emit('message', { closed: [number] });
  expect(dispatcher.numbers).toMatchObject({ live: 0, unacked: 0 });
});

test('a worker owes an answer › it is given no second one; the next waits for whoever is free first', () => {
  const { children, update, connect } = setUp(2);
  update();
  for (let count = 0; count < 5; count += 1) connect();
  expect(children.map(({ given }) => given.length)).toEqual([1, 1]);
  children[1].take();
  expect(children.map(({ given }) => given.length)).toEqual([1, 2]);
});

test('a worker dies with one untaken › another one gets it, and its other connections are forgotten', () => {
  const { dispatcher, children, update, connect } = setUp(2);
  update();
  const [first] = [connect(), connect()];
  children[1].take();
  children[0].die();
  expect(first.closed).toBe(false);
  expect(children[1].given).toHaveLength(2);
  children[1].take();
  expect(first.closed).toBe(true);
  expect(dispatcher.numbers).toMatchObject({ regiven: 1, live: 2, unacked: 0, waiting: 0 });
});

test('a worker does not answer in time › another one gets it, and nothing more is given until the first has answered', () => {
  const { dispatcher, children, update, connect, pass } = setUp(2);
  update();
  connect();
  pass(TAKE_BACK_MS - 100);
  expect(children[1].given).toHaveLength(0);
  pass(200);
  expect(children[1].given).toHaveLength(1);
  children[1].take();
  for (let count = 0; count < 3; count += 1) {
    connect();
    children[1].take();
  }
  expect(children[0].given).toHaveLength(1);
  children[0].refuse();
  connect();
  expect(children[0].given).toHaveLength(2);
  expect(dispatcher.numbers).toMatchObject({ regiven: 1, live: 5, unacked: 1 });
});

test('a connection is lost on its way › the worker is asked for it again without one, and serves on when it has answered', () => {
  const { children, update, connect, pass } = setUp(1);
  update();
  connect();
  pass(TAKE_BACK_MS);
  expect(children[0].asked).toEqual(children[0].given);
  pass(60_000);
  expect(children[0].asked).toHaveLength(1);
  connect();
  expect(children[0].given).toHaveLength(1);
  children[0].refuse();
  expect(children[0].given).toHaveLength(2);
});

test('this process stood still for longer than a worker has time › what the worker answered meanwhile is read first', () => {
  const { dispatcher, children, update, connect, pass } = setUp(2);
  update();
  const connection = connect();
  pass(500);
  now += 10 * TAKE_BACK_MS;
  dispatcher.tick();
  expect(children[1].given).toHaveLength(0);
  children[0].take();
  pass(TAKE_BACK_MS);
  expect([connection.closed, children[1].given.length]).toEqual([true, 0]);
});

test('this process stood still while connections waited for a worker › they are held for as long as ever', () => {
  const { dispatcher, connect, pass } = setUp(1);
  const waiting = connect();
  pass(5_000);
  now += 60_000;
  dispatcher.tick();
  pass(4_900);
  expect(waiting.refused).toBe(false);
  pass(200);
  expect(waiting.refused).toBe(true);
});

test('something could not be sent to a worker that lives › others get it, and a second later it gets its share again', () => {
  const { dispatcher, children, update, connect, pass } = setUp(2);
  update();
  children[0].fails = true;
  connect();
  expect(children.map(({ given }) => given.length)).toEqual([1, 1]);
  children[1].take();
  connect();
  children[1].take();
  expect(children.map(({ given }) => given.length)).toEqual([1, 2]);
  children[0].fails = false;
  pass(1_000);
  connect();
  expect(children.map(({ given }) => given.length)).toEqual([2, 2]);
  expect(dispatcher.numbers).toMatchObject({ regiven: 1, waiting: 0 });
});

test('a worker is stalled › the others get everything until it turns again', () => {
  const { children, update, connect } = setUp(2);
  update();
  children[0].worker.stalledSince = 0;
  now = 5_000;
  for (let count = 0; count < 4; count += 1) {
    connect();
    children[1].take();
  }
  expect(children.map(({ given }) => given.length)).toEqual([0, 4]);
  children[0].worker.stalledSince = null;
  connect();
  expect(children[0].given).toHaveLength(1);
});

test('nobody can take it for 10 s › it is refused, and the next ones are held anew', () => {
  const { dispatcher, children, update, connect, pass } = setUp(1);
  const early = connect();
  pass(9_000);
  const late = connect();
  pass(1_000);
  expect([early.refused, late.refused]).toEqual([true, false]);
  update();
  expect(children[0].given).toHaveLength(1);
  expect(dispatcher.numbers).toMatchObject({ accepted: 2, refused: 1, waiting: 0 });
});

test('a crowd while no worker is ready › only so many are held', () => {
  const { dispatcher, connect } = setUp(1);
  const crowd = Array.from({ length: 2_100 }, () => connect());
  expect(crowd.filter(({ refused }) => refused)).toHaveLength(100);
  expect(dispatcher.numbers.waiting).toBe(2_000);
});

test('a connection that no worker can take › refused in the end, not passed round for ever', () => {
  const { children, update, connect } = setUp(1);
  update();
  const connection = connect();
  for (let tries = 0; tries < 5; tries += 1) children[0].refuse();
  expect(connection.refused).toBe(true);
  expect(children[0].given).toHaveLength(5);
});

test('a limit for each address › counted over all workers, and given back when a connection ends or its worker dies', () => {
  const { children, update, connect } = setUp(2, { maxPerAddress: 2 });
  update();
  const first = connect('10.0.0.1');
  children[0].take();
  connect('10.0.0.1');
  const second = children[1].take();
  expect(connect('10.0.0.1').refused).toBe(true);
  expect(connect('10.0.0.2').refused).toBe(false);
  children[0].take();
  children[1].emit('message', { closed: [second] });
  expect(connect('10.0.0.1').refused).toBe(false);
  children[1].take();
  expect(connect('10.0.0.1').refused).toBe(true);
  children[0].die();
  expect(connect('10.0.0.1').refused).toBe(false);
  expect(first.refused).toBe(false);
});

test('all workers are full › the emptiest still gets it: it is the one to refuse', () => {
  const { children, update, connect } = setUp(1, { maxConnections: 1 });
  update();
  connect();
  children[0].take();
  connect();
  expect(children[0].given).toHaveLength(2);
});

test('a worker drains for its replacement › gets no more; one that drains in a whole stop does', () => {
  const { children, update, connect } = setUp(2);
  Object.assign(children[0].worker, { state: 'draining', drain: { reason: 'roll', since: 0 } });
  update();
  connect();
  expect(children.map(({ given }) => given.length)).toEqual([0, 1]);
  children[1].take();
  Object.assign(children[1].worker, { state: 'draining', drain: { reason: 'stop', since: 0 } });
  connect();
  expect(children.map(({ given }) => given.length)).toEqual([0, 2]);
});

test('the end › told to the workers behind what they were given, and what waits is refused', () => {
  const { dispatcher, children, update, connect } = setUp(1);
  update();
  connect();
  const waiting = connect();
  dispatcher.end();
  expect(waiting.refused).toBe(true);
  expect(children[0].sent.at(-1)?.message).toEqual({ last: true });
});

test('a worker is ten times as slow as the others › it gets one connection a second, and its share when it is as fast again', () => {
  const { dispatcher, children, update, connect, pass } = setUp(4);
  const [slow, ...others] = children as [FakeChild, ...FakeChild[]];
  update();
  // Each connection is taken, and is over when the next one comes.
  const serve = (count: number) => {
    const before = slow.given.length;
    for (let each = 0; each < count; each += 1) {
      const given = children.map((child) => child.given.length);
      connect();
      for (const [index, child] of children.entries())
        if (child.given.length > (given[index] as number)) {
          const number = child.take();
          child.emit('message', { closed: [number] });
        }
      now += 10;
    }
    return slow.given.length - before;
  };
  expect(serve(200)).toBe(50);
  slow.worker.report.typical_ms = 50;
  for (const { worker } of others) worker.report.typical_ms = 5;
  pass(200);
  expect(dispatcher.slow).toEqual([slow.pid]);
  expect(serve(200)).toBe(2);
  slow.worker.report.typical_ms = 5;
  pass(200);
  expect(dispatcher.slow).toEqual([]);
  expect(serve(200)).toBe(50);
});

describe('uneven shares', () => {
  /** One worker holds `held` connections, from before the others were there, which hold one each. */
  function unevenly(held: number) {
    const all = setUp(3);
    const [full, empty] = all.children;
    const third = all.children.at(2) as FakeChild;
    all.dispatcher.update([full.worker]);
    const numbers = Array.from({ length: held }, () => {
      all.connect();
      return full.take();
    });
    all.update();
    /** A client comes back to whoever gets its connection. */
    const comesBack = () => {
      all.connect();
      for (const child of [empty, third]) if (child.given.length > child.taken) child.take();
    };
    comesBack();
    comesBack();
    expect([empty.taken, third.taken]).toEqual([1, 1]);
    return { ...all, full, empty, third, numbers, comesBack };
  }

  test('twice in a row › the fuller worker lets its surplus go, is told what is left of it, and no more once shares are even', () => {
    const { full, empty, third, numbers, comesBack, pass } = unevenly(28);
    pass(1_000);
    expect(full.released).toEqual([]);
    pass(1_000);
    expect(full.released).toEqual([18]);
    full.emit('message', { closed: numbers.slice(0, 10) });
    for (let back = 0; back < 10; back += 1) comesBack();
    pass(1_000);
    expect(full.released).toEqual([18, 8]);
    full.emit('message', { closed: numbers.slice(10, 18) });
    for (let back = 0; back < 8; back += 1) comesBack();
    pass(10_000);
    expect(full.released).toEqual([18, 8, 0]);
    expect([empty.released, third.released]).toEqual([[], []]);
  });

  test('clients that were let go are slow to come back › nobody else is let go in their place', () => {
    const { full, numbers, pass } = unevenly(28);
    pass(2_000);
    full.emit('message', { closed: numbers.slice(0, 18) });
    pass(4_000);
    expect(full.released).toEqual([18, 0]);
  });

  test('another worker dies meanwhile › no more go than are too many for those that are left', () => {
    const { full, third, pass } = unevenly(28);
    pass(2_000);
    third.die();
    pass(1_000);
    expect(full.released).toEqual([18, 13]);
  });

  test('connections on which nothing is asked › after a while others are chosen', () => {
    const { full, pass } = unevenly(28);
    pass(9_000);
    expect(full.released).toEqual([18, 18, 18, 18, 18, 0, 18, 18]);
  });

  test('once only › nothing is let go', () => {
    const { full, numbers, pass } = unevenly(28);
    pass(1_000);
    full.emit('message', { closed: numbers });
    pass(3_000);
    expect(full.released).toEqual([]);
  });

  test('one of three leaves and still holds connections › nothing is let go before it has gone', () => {
    const { full, third, pass } = unevenly(28);
    Object.assign(third.worker, { state: 'draining' });
    pass(3_000);
    expect(full.released).toEqual([]);
    third.die();
    pass(2_000);
    expect(full.released).toEqual([13]);
  });

  test.each([
    ['rests', { resting: true }],
    ['stands still', { stalledSince: 0 }],
  ])('the fuller worker %s › it is left alone', (_what, change) => {
    const { full, pass } = unevenly(28);
    Object.assign(full.worker, change);
    pass(3_000);
    expect(full.released).toEqual([]);
  });

  test('the fuller worker begins to rest while it lets some go › it stops that', () => {
    const { full, pass } = unevenly(28);
    pass(2_000);
    Object.assign(full.worker, { resting: true });
    pass(3_000);
    expect(full.released).toEqual([18, 0]);
  });

  test('one holds few because it is slow › only the others are evened out', () => {
    const { full, empty, third, pass } = unevenly(28);
    for (const [child, typical_ms] of [
      [empty, 100],
      [third, 5],
      [full, 5],
    ] as const)
      child.worker.report.typical_ms = typical_ms;
    pass(2_000);
    expect(full.released).toEqual([13]);
  });
});
