/** What happens when two things come together that each are harmless: a scale-down and a start, a death and a replacement. */
import { Refusal } from '../../../server/cluster/refusal';
import type { SupervisorOptions } from '../../../server/cluster/supervisor-options';
import { FakeChild, running, settled, world } from './world';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

/** What the system makes of a fork for which it has no room: no process, and an error a moment later. */
class Stillborn extends FakeChild {
  constructor() {
    super();
    Object.assign(this, { pid: undefined, connected: false });
  }

  fails(): void {
    this.emit('error', Object.assign(new Error('spawn node EAGAIN'), { code: 'EAGAIN' }));
  }
}

const rolling = async (options: Partial<SupervisorOptions> = {}) => {
  const made = running(options);
  const { id } = made.supervisor.roll();
  await settled();
  return { ...made, id };
};

describe('a fork that fails', () => {
  test('the slot is not lost › tried again after its back-off, reason kept', () => {
    const made = world();
    const stillborn = new Stillborn();
    let fails = false;
    const spawn = made.options.spawn;
    made.options.spawn = (kind, tail) => (fails ? (stillborn as never) : spawn(kind, tail));
    made.supervisor.start();
    for (const child of [...made.children]) child.becomesReady();
    fails = true;
    made.children[0]?.exits(null, 'SIGKILL');
    made.pass(200);
    expect(made.supervisor.workers).toHaveLength(2);
    stillborn.fails();
    expect(made.supervisor.workers).toHaveLength(1);
    expect(made.supervisor.lastExit).toMatchObject({ reason: 'boot_failure', code: null, signal: null });
    fails = false;
    made.pass(1_000);
    made.latest().becomesReady();
    expect(made.supervisor.ready).toBe(2);
  });

  test('during a roll › aborted with the words of the system, the old workers serve', async () => {
    const made = running();
    const stillborn = new Stillborn();
    made.options.spawn = () => stillborn as never;
    made.supervisor.roll();
    await settled();
    stillborn.fails();
    expect(made.supervisor.rollStatus.last).toMatchObject({ result: 'aborted', reason: 'spawn node EAGAIN' });
    expect(made.supervisor.ready).toBe(2);
  });
});

describe('fewer workers are wanted', () => {
  test('while one of them boots › it is ended at once, and that is no failure of the build', () => {
    const { supervisor, children, pass } = running();
    supervisor.scale(3);
    const booting = children[2] as FakeChild;
    supervisor.scale(2);
    expect(booting.killedWith).toBe('SIGKILL');
    booting.exits(null, 'SIGKILL');
    pass(1_000);
    expect(supervisor.workers).toHaveLength(2);
    expect(supervisor.lastExit).toBeNull();
    expect(supervisor.breaker.deathsInWindow(0)).toBe(0);
    expect([...supervisor.restarts]).toEqual([]);
  });

  test('in a roll, the slot whose new worker boots › both go, and the roll goes on to its end', async () => {
    const { supervisor, children, pass, id } = await rolling({ workers: 3 });
    children[3]?.becomesReady();
    pass(10_100);
    children[0]?.exits(0);
    children[4]?.becomesReady();
    children[1]?.exits(0);
    const booting = children[5] as FakeChild;
    supervisor.scale(2);
    expect(booting.killedWith).toBe('SIGKILL');
    booting.exits(null, 'SIGKILL');
    children[2]?.exits(0);
    pass(10_100);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'completed' });
    expect(supervisor.ready).toBe(2);
    expect(supervisor.workers).toHaveLength(2);
  });

  test('in a roll, the slot of the canary › the next new worker is the canary', async () => {
    const made = running();
    made.first.exits(1);
    made.pass(100);
    // Slot 1 boots, so the roll begins with slot 2.
    const { supervisor, children, second } = made;
    supervisor.roll();
    await settled();
    expect(children).toHaveLength(4);
    supervisor.scale(1);
    children[3]?.exits(null, 'SIGKILL');
    second.exits(0);
    children[2]?.becomesReady();
    made.pass(100);
    expect(children).toHaveLength(5);
    children[4]?.becomesReady();
    made.pass(10_100);
    children[2]?.exits(0);
    made.pass(100);
    expect(supervisor.rollStatus.last).toMatchObject({ result: 'completed' });
    expect(supervisor.ready).toBe(1);
  });
});

describe('the last old worker of a roll has left', () => {
  /** Slot 3's old worker crashed while slot 2's new one booted, and slot 2's old one is gone. */
  const refilling = async () => {
    const made = await rolling({ workers: 3 });
    const [first, second, third] = made.children as [FakeChild, FakeChild, FakeChild];
    made.children[3]?.becomesReady();
    made.pass(10_100);
    first.exits(0);
    third.exits(null, 'SIGSEGV');
    made.pass(100);
    const [next, refill] = made.children.slice(4) as [FakeChild, FakeChild];
    next.becomesReady();
    second.exits(0);
    made.pass(100);
    return { ...made, next, refill };
  };

  /** Of two workers the first is replaced by the canary, which has proved itself; the new one beside the second serves as well. */
  const halfWay = async () => {
    const made = await rolling();
    const [first, second, canary] = made.children as [FakeChild, FakeChild, FakeChild];
    canary.becomesReady();
    made.pass(10_100);
    first.exits(0);
    made.latest().becomesReady();
    return { ...made, second, canary };
  };

  test('while an empty slot is being filled › not completed before that one serves, aborted when it dies instead', async () => {
    const good = await refilling();
    good.pass(20_000);
    expect(good.supervisor.rollStatus).toMatchObject({ state: 'rolling', done: 3, total: 3 });
    good.refill.becomesReady();
    good.pass(10_100);
    await expect(good.supervisor.rollEnded(good.id)).resolves.toMatchObject({ result: 'completed' });
    const bad = await refilling();
    bad.refill.says({ type: 'failed', code: 70, message: 'Cannot find module' });
    bad.refill.exits(70);
    await expect(bad.supervisor.rollEnded(bad.id)).resolves.toMatchObject({ result: 'aborted', reason: 'Cannot find module' });
  });

  test('while a slot waits for its back-off › not completed before it is filled', async () => {
    const { supervisor, pass, latest, id, second, canary } = await halfWay();
    pass(10_100);
    // It lived for long enough to say nothing about the build.
    canary.exits(null, 'SIGKILL');
    second.exits(0);
    expect(supervisor.rollStatus.state).toBe('rolling');
    pass(200);
    latest().becomesReady();
    pass(10_100);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'completed' });
    expect(supervisor.ready).toBe(2);
  });

  test('the newest worker dies within ROLL_CANARY › aborted, like after any other', async () => {
    const { supervisor, children, pass, latest, id } = await rolling();
    const [first, second] = children as [FakeChild, FakeChild];
    latest().becomesReady();
    pass(10_100);
    first.exits(0);
    latest().becomesReady();
    second.exits(0);
    pass(9_000);
    latest().exits(null, 'SIGSEGV');
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'aborted' });
    expect(supervisor.rollStatus.done).toBe(2);
  });

  test('a worker that has proved itself dies meanwhile › the roll waits for the next one, and not for its ROLL_CANARY', async () => {
    const { supervisor, pass, latest, id, second, canary } = await halfWay();
    second.exits(0);
    pass(9_900);
    canary.exits(null, 'SIGKILL');
    pass(1_000);
    expect(supervisor.rollStatus.state).toBe('rolling');
    latest().becomesReady();
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'completed' });
  });
});

describe('a roll is aborted by the death of one new worker while another one', () => {
  const twoNew = async () => {
    const made = await rolling({ workers: 3 });
    made.children[3]?.becomesReady();
    made.pass(10_100);
    made.first.exits(0);
    made.children[4]?.becomesReady();
    made.second.exits(0);
    return { ...made, old: made.children[2] as FakeChild, proven: made.children[4] as FakeChild, next: made.children[5] as FakeChild };
  };

  test('boots › that one is ended, its old worker serves on, and workers are recycled as ever', async () => {
    const { supervisor, proven, next, old, pass, children } = await twoNew();
    proven.exits(null, 'SIGSEGV');
    await settled();
    await new Promise((resolve) => setTimeout(resolve, 0));
    await supervisor.rollEnded(1);
    expect(next.killedWith).toBe('SIGKILL');
    next.exits(null, 'SIGKILL');
    expect(old.got('drain')).toBeUndefined();
    pass(1_000);
    children[6]?.becomesReady();
    expect(supervisor.workers.map(({ slot }) => slot)).toEqual([1, 2, 3]);
    old.reports({ requests_count: 5_000 });
    pass(100);
    expect(children).toHaveLength(8);
  });

  test('waits beside its old worker for the canary time › that one leaves, the old one stays', async () => {
    const { supervisor, children, pass, id } = await rolling();
    children[2]?.becomesReady();
    // An old worker crashes, its slot is filled by the new build, and that dies young.
    children[1]?.exits(null, 'SIGSEGV');
    pass(200);
    children[3]?.says({ type: 'failed', code: 70, message: 'Cannot find module' });
    children[3]?.exits(70);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'aborted', reason: 'Cannot find module' });
    expect(children[0]?.got('drain')).toBeUndefined();
    expect(children[2]?.got('drain')).toMatchObject({ reason: 'roll' });
  });
});

describe('a roll when no worker is left', () => {
  const down = async () => {
    const made = running();
    for (const child of [...made.children]) child.exits(null, 'SIGKILL');
    for (let death = 0; death < 5; death += 1) {
      made.pass(6_000);
      for (const child of made.children) if (child.connected) child.exits(1);
    }
    expect(made.supervisor.breaker.open).toBe(true);
    const before = made.children.length;
    const { id } = made.supervisor.roll();
    const ended = made.supervisor.rollEnded(id);
    await settled();
    made.pass(100);
    return { ...made, ended, fresh: made.children.slice(before) };
  };

  test('a mended build › its workers are forked at once, and it is completed when they have proved themselves', async () => {
    const { supervisor, fresh, pass, ended } = await down();
    expect(supervisor.rollStatus.state).toBe('canary');
    expect(fresh).toHaveLength(2);
    for (const child of fresh) child.becomesReady();
    pass(5_000);
    expect(supervisor.rollStatus.state).toBe('canary');
    pass(5_200);
    await expect(ended).resolves.toMatchObject({ result: 'completed' });
    expect(supervisor.ready).toBe(2);
  });

  test('a build that is still broken › aborted in its words', async () => {
    const { fresh, ended } = await down();
    fresh[0]?.says({ type: 'failed', code: 70, message: 'Cannot find module' });
    fresh[0]?.exits(70);
    await expect(ended).resolves.toMatchObject({ result: 'aborted', reason: 'Cannot find module' });
  });
});

test('a roll was aborted › no reserve is loaded of that build until another roll, or a replacement that gets ready', async () => {
  const { supervisor, children, pass, first, latest, id } = await rolling({ standby: true });
  latest().says({ type: 'failed', code: 70, message: 'Cannot find module' });
  latest().exits(70);
  await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'aborted' });
  const forks = children.length;
  pass(120_000);
  expect(children).toHaveLength(forks);
  expect(supervisor.standby).toBeNull();
  first.exits(null, 'SIGKILL');
  pass(200);
  expect(children).toHaveLength(forks + 1);
  latest().becomesReady();
  pass(20_000);
  expect(supervisor.standby?.pid).toBe(latest().pid);
  expect(children).toHaveLength(forks + 2);
});

describe('the breaker is open while every slot holds a worker that serves', () => {
  test('replacements died unborn, and one is due › tried each 30 s; the first that lives closes the breaker', () => {
    const { supervisor, children, pass, first, latest } = running({ recycleGapMs: 1_000 });
    first.reports({ requests_count: 5_000 });
    for (let death = 0; death < 5; death += 1) {
      pass(1_100);
      latest().exits(70);
    }
    expect(supervisor.breaker.open).toBe(true);
    const forks = children.length;
    pass(29_000);
    expect(children).toHaveLength(forks);
    pass(2_000);
    expect(children).toHaveLength(forks + 1);
    latest().exits(70);
    pass(27_000);
    expect(children).toHaveLength(forks + 1);
    pass(4_000);
    expect(children).toHaveLength(forks + 2);
    latest().becomesReady();
    first.exits(0);
    pass(9_000);
    expect(supervisor.breaker.open).toBe(true);
    pass(1_100);
    expect(supervisor.breaker.open).toBe(false);
  });

  test('the slot in which workers died is not wanted any more › closed when nobody has needed a trial, and workers are recycled as ever', () => {
    const { supervisor, children, pass, first, latest } = running();
    supervisor.scale(3);
    for (let at = 0; at < 10_000; at += 100) {
      if (children.length > 2 && latest().connected) latest().exits(70);
      pass(100);
    }
    expect(supervisor.breaker.open).toBe(true);
    supervisor.scale(2);
    pass(45_000);
    expect(supervisor.breaker.open).toBe(true);
    pass(20_000);
    expect(supervisor.breaker.open).toBe(false);
    const forks = children.length;
    first.reports({ requests_count: 5_000 });
    pass(100);
    expect(children).toHaveLength(forks + 1);
  });
});

test('four workers that are always past their last request › each has its turn', () => {
  const { supervisor, children, pass } = running({ workers: 4, recycleGapMs: 30_000 });
  const replaced: number[] = [];
  for (let second = 0; second < 300; second += 1) {
    for (const worker of supervisor.workers) {
      const child = children.find(({ pid }) => pid === worker.pid) as FakeChild;
      if (!child.connected) continue;
      if (!child.got('grant')) child.becomesReady();
      if (child.got('drain')) {
        replaced.push(worker.slot);
        child.exits(0);
      } else child.reports({ requests_count: 5_000 });
    }
    pass(1_000);
  }
  expect(replaced.length).toBeGreaterThanOrEqual(8);
  expect(new Set(replaced.slice(0, 4))).toEqual(new Set([1, 2, 3, 4]));
  expect(new Set(replaced.slice(4, 8))).toEqual(new Set([1, 2, 3, 4]));
});

test('a second roll while the first is checked › refused, as ever', async () => {
  const { supervisor } = running({ checkBuild: () => new Promise(() => undefined) });
  supervisor.roll();
  expect(() => supervisor.roll()).toThrow(Refusal);
});
