import { Refusal } from '../../../server/cluster/refusal';
import type { SupervisorOptions } from '../../../server/cluster/supervisor-options';
import { type FakeChild, running, settled, world } from './world';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

describe('start', () => {
  test('hello › a grant whose sum with a replacement stays in the budget; all ready › started', () => {
    const { supervisor, children, happened } = world({ jobs: true });
    supervisor.start();
    expect(children).toHaveLength(2);
    for (const child of children) child.hello();
    expect(children.map((child) => child.got('grant'))).toEqual([
      { type: 'grant', poolMin: 3, poolMax: 6, slot: 1, requestLimit: 1050 },
      { type: 'grant', poolMin: 2, poolMax: 6, slot: 2, requestLimit: 1050 },
    ]);
    expect(happened).not.toContain('started');
    for (const child of [...children]) child.says({ type: 'ready', host: '::', port: 1 });
    supervisor.tick();
    expect(happened).toContain('started');
    expect(supervisor.ready).toBe(2);
    expect(happened).toContain('fork jobs');
  });

  test('every worker dies before one is ready › fails once with the telling code and the worker’s own words, and forks no more', () => {
    const { supervisor, children, happened, pass } = world();
    supervisor.start();
    children[0]?.says({ type: 'failed', code: 71, message: 'listen EADDRINUSE' });
    children[0]?.exits(71);
    expect(happened.filter((event) => event.startsWith('failed'))).toEqual([]);
    children[1]?.exits(70);
    expect(happened.filter((event) => event.startsWith('failed'))).toEqual(['failed 71: listen EADDRINUSE']);
    pass(60_000);
    expect(children).toHaveLength(2);
  });

  test('one dies, one is ready › started with what there is, and the other is replaced after its back-off', () => {
    const { supervisor, children, happened, pass } = world();
    supervisor.start();
    children[0]?.exits(1);
    children[1]?.becomesReady();
    supervisor.tick();
    expect(happened).toContain('started');
    expect(children).toHaveLength(2);
    pass(100);
    expect(children).toHaveLength(3);
    expect(supervisor.lastExit).toMatchObject({ slot: 1, code: 1, reason: 'boot_failure' });
  });

  test('a worker that never says ready › killed after the boot timeout, reason recorded', () => {
    const { supervisor, children, pass } = world({ bootTimeoutMs: 5_000 });
    supervisor.start();
    children[0]?.becomesReady();
    children[1]?.hello();
    pass(5_000);
    expect(children[1]?.killedWith).toBeNull();
    pass(200);
    expect(children[1]?.killedWith).toBe('SIGKILL');
    children[1]?.exits(null, 'SIGKILL');
    expect(supervisor.lastExit?.reason).toBe('boot_timeout');
    expect(children[0]?.killedWith).toBeNull();
  });
});

describe('deaths', () => {
  test('SIGKILL of a serving worker › replaced after a tenth of a second, counted as a crash', () => {
    const { supervisor, first, children, pass } = running();
    first.exits(null, 'SIGKILL');
    expect(supervisor.ready).toBe(1);
    pass(100);
    expect(children).toHaveLength(3);
    children[2]?.becomesReady();
    expect(supervisor.ready).toBe(2);
    expect(supervisor.restarts.get('crash')).toBe(1);
    expect(supervisor.lastExit).toMatchObject({ pid: first.pid, signal: 'SIGKILL', reason: 'crash', slot: 1 });
  });

  test('a worker that says it is crashing › its replacement does not wait for its end', () => {
    const { supervisor, first, children, pass } = running();
    first.says({ type: 'crashing', message: 'TypeError: x', requestId: 'r' });
    pass(100);
    expect(children).toHaveLength(3);
    children[2]?.becomesReady();
    expect(supervisor.ready).toBe(2);
    first.exits(70);
    pass(1_000);
    expect(children).toHaveLength(3);
    expect(supervisor.restarts.get('crash')).toBe(1);
  });

  test('the primary itself was not run for an hour › nobody is killed for it; who is silent afterwards is', () => {
    const { first, second, pass, standStill } = running({ workerTimeoutMs: 10_000 });
    standStill(3_600_000);
    pass(8_000, [first]);
    expect(first.killedWith).toBeNull();
    pass(2_500, [first]);
    expect(first.killedWith).toBe('SIGKILL');
    expect(second.killedWith).toBeNull();
  });

  test('a worker that is silent for WORKER_TIMEOUT › killed as a stall, a reporting one is not', () => {
    const { supervisor, first, second, pass } = running({ workerTimeoutMs: 10_000 });
    pass(9_900, [first]);
    expect(first.killedWith).toBeNull();
    pass(500, [first]);
    expect(first.killedWith).toBe('SIGKILL');
    expect(second.killedWith).toBeNull();
    first.exits(null, 'SIGKILL');
    expect(supervisor.lastExit?.reason).toBe('stall');
    expect(supervisor.restarts.get('stall')).toBe(1);
  });

  test('a build that crashes at boot after having been healthy › at most 12 forks in 30 s, then at most 2 a minute, the healthy worker serves on', () => {
    const { supervisor, first, children, second, happened, pass } = running();
    pass(61_000);
    const forksBefore = children.length;
    first.exits(1);
    const crashAll = () => {
      for (const child of children) if (child !== first && child !== second && child.connected) child.exits(1);
    };
    for (let at = 0; at < 30_000; at += 100) {
      pass(100);
      crashAll();
    }
    const inFirst30 = children.length - forksBefore;
    expect(inFirst30).toBeGreaterThanOrEqual(5);
    expect(inFirst30).toBeLessThanOrEqual(12);
    expect(supervisor.breaker.open).toBe(true);
    for (let at = 0; at < 120_000; at += 100) {
      pass(100);
      crashAll();
    }
    expect(children.length - forksBefore - inFirst30).toBeLessThanOrEqual(4);
    expect(supervisor.ready).toBe(1);
    expect(second.killedWith).toBeNull();
    expect(happened.filter((event) => event.startsWith('failed'))).toEqual([]);
    pass(30_000);
    children.at(-1)?.becomesReady();
    pass(11_000);
    expect(supervisor.breaker.open).toBe(false);
  });
});

describe('replacing', () => {
  test('a worker over its requests › the new one is ready before the old one is told to go; the next recycle 30 s later', () => {
    const { supervisor, first, second, children, pass } = running();
    // random() is 0.5: 1000 + floor(0.5 * 101)
    first.reports({ requests_count: 1049 });
    second.reports({ requests_count: 2000 });
    pass(100);
    expect(children).toHaveLength(3);
    expect(first.got('drain')).toBeUndefined();
    expect(second.got('drain')).toBeUndefined();
    children[2]?.becomesReady();
    expect(second.got('drain')).toEqual({ type: 'drain', reason: 'max_requests', whole: false });
    expect(supervisor.ready).toBe(2);
    second.exits(0);
    first.reports({ requests_count: 1050 });
    pass(29_000);
    expect(children).toHaveLength(3);
    pass(2_000);
    expect(children).toHaveLength(4);
    expect(supervisor.restarts.get('max_requests')).toBe(1);
  });

  test('a replacement that dies › the old worker serves on', () => {
    const { supervisor, first, children, pass } = running();
    first.reports({ requests_count: 5000 });
    pass(100);
    children[2]?.exits(70);
    pass(1_000);
    expect(first.got('drain')).toBeUndefined();
    expect(supervisor.ready).toBe(2);
    expect(children).toHaveLength(3);
  });

  test('memory over the limit in three readings › recycled, in two and then below › not', () => {
    const over = running({ maxRssBytes: 100, rssReadingMs: 1_000 });
    over.first.reports({ rss: 101 });
    over.pass(1_900);
    expect(over.children).toHaveLength(2);
    over.pass(1_500);
    expect(over.children).toHaveLength(3);
    const below = running({ maxRssBytes: 100, rssReadingMs: 1_000 });
    below.first.reports({ rss: 101 });
    below.pass(1_500);
    below.first.reports({ rss: 50 });
    below.pass(5_000);
    expect(below.children).toHaveLength(2);
  });

  test('a worker that nears its last request › its replacement is ready before that, and it leaves with exactly that request', () => {
    const { supervisor, first, second, children, pass } = running();
    first.reports({ requests_count: 0 });
    pass(1_000);
    // 600 a second, limit 1050: the next second may bring the last one.
    first.reports({ requests_count: 600 });
    second.reports({ requests_count: 10 });
    pass(100);
    expect(children).toHaveLength(3);
    children[2]?.becomesReady();
    expect(first.got('drain')).toBeUndefined();
    expect(first.got('limit-leave')).toEqual({ type: 'limit-leave', allowed: true });
    expect(supervisor.ready).toBe(3);
    // It would be given all new connections, and the last request of the other would not come.
    const fresh = supervisor.workers.find(({ pid }) => pid === children[2]?.pid);
    expect(fresh?.takesConnections(0)).toBe(false);
    first.says({ type: 'limit-reached', answered: 1050, leaving: true });
    expect(supervisor.ready).toBe(2);
    expect(fresh?.takesConnections(0)).toBe(true);
    expect(supervisor.workers.find(({ pid }) => pid === first.pid)?.drain?.reason).toBe('max_requests');
    first.exits(0);
    expect(supervisor.restarts.get('max_requests')).toBe(1);
    expect(fresh?.standsBehind).toBeNull();
  });

  describe('its traffic stops just before its last request, and its replacement is ready', () => {
    const waiting = (options: Partial<SupervisorOptions> = {}) => {
      const made = running({ recycleGapMs: 1_000, ...options });
      made.first.reports({ requests_count: 0 });
      made.pass(1_000);
      made.first.reports({ requests_count: 600 });
      made.pass(100);
      made.latest().becomesReady();
      expect(made.first.got('limit-leave')).toBeDefined();
      return made;
    };

    test('it goes half a minute later, and nobody waits for the place any more', () => {
      const { supervisor, first, second, children, pass } = waiting();
      pass(29_000);
      expect(first.got('drain')).toBeUndefined();
      pass(1_100);
      expect(first.got('drain')).toMatchObject({ reason: 'max_requests' });
      expect(supervisor.workers.find(({ pid }) => pid === children[2]?.pid)?.takesConnections(0)).toBe(true);
      first.exits(0);
      second.reports({ requests_count: 5_000 });
      pass(100);
      expect(children).toHaveLength(4);
      expect(supervisor.restarts.get('max_requests')).toBe(1);
    });

    test('its memory goes over the limit meanwhile, or somebody asks for a new worker in its slot › it goes at once', () => {
      const over = waiting({ maxRssBytes: 100, rssReadingMs: 1_000 });
      over.first.reports({ requests_count: 600, rss: 101 });
      over.pass(3_100);
      expect(over.first.got('drain')).toBeDefined();
      const asked = waiting();
      asked.supervisor.recycle(1);
      expect(asked.first.got('drain')).toBeDefined();
    });
  });

  test('its replacement dies while it finishes its last requests › it is told to stay', () => {
    const { first, children, pass } = running();
    first.reports({ requests_count: 0 });
    pass(1_000);
    first.reports({ requests_count: 600 });
    pass(100);
    children[2]?.becomesReady();
    children[2]?.exits(1);
    expect(first.sent.filter(({ type }) => type === 'limit-leave')).toEqual([
      { type: 'limit-leave', allowed: true },
      { type: 'limit-leave', allowed: false },
    ]);
  });

  test('old age › replaced after WORKER_MAX_AGE and a random part of a tenth of it, the next 30 s later', () => {
    // random() is 0.5: 100 s + 5 %
    const { supervisor, first, children, pass } = running({ maxAgeMs: 100_000 });
    pass(104_900);
    expect(children).toHaveLength(2);
    pass(200);
    expect(children).toHaveLength(3);
    children[2]?.becomesReady();
    expect(first.got('drain')).toMatchObject({ reason: 'max_age' });
    first.exits(0);
    pass(29_000);
    expect(children).toHaveLength(3);
    pass(1_000);
    expect(children).toHaveLength(4);
    expect(supervisor.restarts.get('max_age')).toBe(1);
  });

  test('somebody asks for a new worker in a slot › replaced at once, the other one is not', () => {
    const { supervisor, first, second, children } = running();
    supervisor.recycle(2);
    children[2]?.becomesReady();
    expect(second.got('drain')).toMatchObject({ reason: 'manual' });
    expect(first.got('drain')).toBeUndefined();
    expect(() => supervisor.recycle(3)).toThrow(Refusal);
  });

  test('the worker that somebody asked to replace leaves before its turn › the next one of its slot is not replaced again', () => {
    const { supervisor, first, second, children, pass } = running();
    supervisor.recycle(1);
    supervisor.recycle(2);
    second.exits(null, 'SIGKILL');
    pass(100);
    for (const child of children.slice(2)) child.becomesReady();
    first.exits(0);
    pass(60_000);
    expect(children).toHaveLength(4);
    expect(supervisor.ready).toBe(2);
  });

  test('somebody asks for it while it is being replaced › once', () => {
    const { supervisor, first, children, pass } = running();
    first.reports({ requests_count: 5_000 });
    pass(100);
    supervisor.recycle(1);
    children[2]?.becomesReady();
    first.exits(0);
    pass(60_000);
    expect(children).toHaveLength(3);
  });

  test('a renewal that had to wait, and that nobody waits for any more › is not carried out later', () => {
    const { supervisor, second, children, pass, latest } = running();
    second.exits(null, 'SIGKILL');
    supervisor.recycle(1);
    for (const worker of supervisor.workers) if (worker.slot === 1) supervisor.forgoRecycle(worker);
    pass(1_000);
    latest().becomesReady();
    pass(60_000);
    expect(children).toHaveLength(3);
  });

  test('somebody drains a slot › it goes, and its slot is filled; the last worker that serves stays', () => {
    const { supervisor, first, children, pass } = running();
    supervisor.drain(1);
    expect(first.got('drain')).toMatchObject({ reason: 'manual' });
    expect(() => supervisor.drain(2)).toThrow('no other worker serves');
    pass(100);
    expect(children).toHaveLength(3);
  });

  test('the other worker has been silent for longer than any is › whoever serves is not drained for its sake', () => {
    const { supervisor, first, second, pass } = running();
    pass(3_100, [first]);
    expect(() => supervisor.drain(2)).toThrow('no other worker serves');
    supervisor.drain(1);
    expect([first.got('drain'), second.got('drain')]).toEqual([expect.anything(), undefined]);
  });
});

describe('a roll', () => {
  const rolling = async (options: Partial<SupervisorOptions> = {}) => {
    const made = running(options);
    const { id } = made.supervisor.roll();
    await settled();
    return { ...made, id };
  };

  test('the first replacement serves beside its old worker for the canary time, the later ones follow at once', async () => {
    const { supervisor, first, second, children, pass, id } = await rolling();
    const ended = supervisor.rollEnded(id);
    expect(children).toHaveLength(3);
    children[2]?.becomesReady();
    pass(9_900);
    expect(first.got('drain')).toBeUndefined();
    expect(supervisor.ready).toBe(3);
    pass(200);
    expect(first.got('drain')).toMatchObject({ reason: 'roll' });
    expect(supervisor.ledger.granted).toBeLessThanOrEqual(20);
    expect(children).toHaveLength(3);
    first.exits(0);
    expect(children).toHaveLength(4);
    children[3]?.becomesReady();
    expect(second.got('drain')).toMatchObject({ reason: 'roll' });
    second.exits(0);
    pass(9_900);
    expect(supervisor.rollStatus).toMatchObject({ state: 'rolling', done: 2, total: 2 });
    pass(200);
    expect(supervisor.rollStatus).toMatchObject({ state: 'idle', done: 2, total: 2, last: { result: 'completed' } });
    await expect(ended).resolves.toMatchObject({ result: 'completed', reason: null });
    expect(supervisor.ready).toBe(2);
    expect(supervisor.restarts.get('roll')).toBe(2);
  });

  test('a second one meanwhile › refused with the number of the first', async () => {
    const { supervisor, id } = await rolling();
    expect(() => supervisor.roll()).toThrow(expect.objectContaining({ name: 'Refusal', code: 'roll_under_way', roll: id }) as Error);
    expect(() => supervisor.recycle(1)).toThrow(Refusal);
  });

  test('the check of the build fails › aborted with its words, nothing is forked', async () => {
    const { supervisor, children, id } = await rolling({ checkBuild: () => Promise.reject(new Error('the configuration is refused')) });
    expect(children).toHaveLength(2);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'aborted', reason: 'the configuration is refused' });
  });

  test('the first replacement does not load › aborted in its words, no old worker is touched', async () => {
    const { supervisor, first, second, children, pass } = await rolling();
    children[2]?.says({ type: 'failed', code: 70, message: 'Cannot find module' });
    children[2]?.exits(70);
    expect(supervisor.rollStatus.last).toMatchObject({ result: 'aborted', reason: 'Cannot find module' });
    pass(5_000);
    expect(children).toHaveLength(3);
    expect([first.got('drain'), second.got('drain')]).toEqual([undefined, undefined]);
  });

  test('the first replacement dies some seconds after it was ready › aborted without a moment of fewer workers', async () => {
    const { supervisor, first, second, children, pass, id } = await rolling();
    children[2]?.becomesReady();
    pass(5_000);
    children[2]?.exits(null, 'SIGSEGV');
    pass(20_000);
    expect(supervisor.ready).toBe(2);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({
      result: 'aborted',
      reason: 'a worker ended with SIGSEGV soon after it was ready',
    });
    expect([first.got('drain'), second.got('drain')]).toEqual([undefined, undefined]);
    expect(children).toHaveLength(3);
  });

  test('a later replacement dies young › aborted, its slot is filled, the rest is left alone', async () => {
    const { supervisor, first, second, children, pass } = await rolling({ workers: 3 });
    const third = children[2] as FakeChild;
    children[3]?.becomesReady();
    pass(10_100);
    first.exits(0);
    children[4]?.becomesReady();
    expect(second.got('drain')).toBeDefined();
    children[4]?.says({ type: 'crashing', message: 'TypeError: x', requestId: null });
    expect(supervisor.rollStatus.last).toMatchObject({ result: 'aborted', reason: 'TypeError: x' });
    pass(1_000);
    expect(third.got('drain')).toBeUndefined();
    expect(children).toHaveLength(6);
  });

  test('a worker that was booting when the roll began › is replaced as well', async () => {
    const made = running();
    made.first.exits(1);
    made.pass(100);
    const late = made.latest();
    made.supervisor.roll();
    await settled();
    late.becomesReady();
    made.pass(100);
    for (let step = 0; step < 400 && made.supervisor.rollStatus.state !== 'idle'; step += 1) {
      for (const child of made.children.slice(3)) if (child.connected && !child.got('grant')) child.becomesReady();
      for (const child of made.children) if (child.connected && child.got('drain')) child.exits(0);
      made.pass(100);
    }
    expect(made.supervisor.rollStatus).toMatchObject({ total: 2, done: 2, last: { result: 'completed' } });
    expect(late.got('drain')).toMatchObject({ reason: 'roll' });
  });

  test('a worker is being recycled when it begins › its replacement, loaded before, is thrown away before it serves, and nothing is counted', async () => {
    const { supervisor, first, children, pass } = running();
    first.reports({ requests_count: 5000 });
    pass(100);
    supervisor.roll();
    await settled();
    expect(children[2]?.killedWith).toBe('SIGKILL');
    children[2]?.exits(null, 'SIGKILL');
    expect(children).toHaveLength(4);
    expect(supervisor.rollStatus).toMatchObject({ state: 'canary', total: 2 });
    expect([...supervisor.restarts]).toEqual([]);
    expect(supervisor.lastExit).toBeNull();
    expect(supervisor.breaker.deathsInWindow(0)).toBe(0);
  });

  test('the service stops meanwhile › aborted', async () => {
    const { supervisor, id } = await rolling();
    supervisor.stop();
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'aborted', reason: 'the service stops' });
  });
});

describe('stop', () => {
  test('graceful › every serving worker drains, a booting one is killed, stopped when all are gone', () => {
    const { supervisor, first, second, children, happened, pass } = running();
    first.exits(1);
    pass(100);
    supervisor.stop();
    expect(second.got('drain')).toEqual({ type: 'drain', reason: 'stop', whole: true });
    expect(children[2]?.killedWith).toBe('SIGKILL');
    children[2]?.exits(null, 'SIGKILL');
    expect(happened).not.toContain('stopped');
    second.exits(0);
    expect(happened).toContain('stopped');
    pass(60_000);
    expect(children).toHaveLength(3);
  });

  test('a request that never ends › killed after GRACEFUL_TIMEOUT, and the stop was forced', () => {
    const { supervisor, first, second, happened, pass } = running({ gracefulTimeoutMs: 2_000 });
    supervisor.stop();
    second.exits(0);
    pass(1_900);
    expect(first.killedWith).toBeNull();
    pass(300);
    expect(first.killedWith).toBe('SIGKILL');
    first.exits(null, 'SIGKILL');
    expect(happened.at(-1)).toBe('stopped forced');
  });

  test('a worker that is silent meanwhile › killed after WORKER_TIMEOUT, and the stop was forced', () => {
    const { supervisor, first, second, happened, pass } = running({ workerTimeoutMs: 10_000 });
    pass(5_000);
    supervisor.stop();
    second.exits(0);
    pass(11_000, [first]);
    expect(first.killedWith).toBe('SIGKILL');
    first.exits(null, 'SIGKILL');
    expect(happened.at(-1)).toBe('stopped forced');
  });

  test.each([
    ['by a signal', null, 'SIGKILL'],
    ['with a code', 134, null],
  ] as const)('a worker that ends %s while it drains › forced, although others ended well after it', (_how, code, signal) => {
    const { supervisor, first, second, happened } = running();
    supervisor.stop();
    first.exits(code, signal);
    second.exits(0);
    expect(happened.at(-1)).toBe('stopped forced');
  });

  test('a worker that was killed says that it is ready › it does not count, and the stop does not wait for it', () => {
    const { supervisor, first, second, children, happened, pass } = running();
    first.exits(1);
    pass(100);
    children[2]?.hello();
    supervisor.stop();
    expect(children[2]?.killedWith).toBe('SIGKILL');
    children[2]?.becomesReady();
    second.exits(0);
    children[2]?.exits(null, 'SIGKILL');
    expect(happened.at(-1)).toBe('stopped');
  });

  test('while a replacement drains › the old worker is told again, to hurry', () => {
    const { supervisor, first, children, pass } = running();
    first.reports({ requests_count: 5000 });
    pass(100);
    children[2]?.becomesReady();
    supervisor.stop();
    expect(first.sent.filter(({ type }) => type === 'drain')).toMatchObject([{ whole: false }, { whole: true }]);
  });
});

describe('the worker in reserve', () => {
  const reserved = () => {
    const made = running({ standby: true });
    made.pass(100);
    return { ...made, reserve: made.latest() };
  };

  test('all is well › one is forked, gets no share, and is not counted', () => {
    const { supervisor, children, reserve, pass } = reserved();
    reserve.hello();
    pass(5_000);
    expect(children).toHaveLength(3);
    expect(reserve.got('grant')).toBeUndefined();
    expect(supervisor.workers).toHaveLength(2);
    expect(supervisor.standby?.pid).toBe(reserve.pid);
  });

  test('a worker dies › the reserve takes its slot at once, and the next one is forked when all is well again', () => {
    const { supervisor, children, first, reserve, pass } = reserved();
    reserve.hello();
    first.exits(null, 'SIGKILL');
    pass(200);
    expect(children).toHaveLength(3);
    expect(reserve.got('grant')).toMatchObject({ slot: 1 });
    reserve.says({ type: 'ready', host: '::', port: 1 });
    expect(supervisor.ready).toBe(2);
    pass(100);
    expect(children).toHaveLength(4);
    expect(supervisor.ledger.granted).toBeLessThanOrEqual(20);
  });

  test('a roll › does not use what was loaded before it', async () => {
    const { supervisor, children, reserve } = reserved();
    reserve.hello();
    supervisor.roll();
    await settled();
    expect(reserve.killedWith).toBe('SIGKILL');
    expect(reserve.got('grant')).toBeUndefined();
    expect(children).toHaveLength(4);
    reserve.exits(null, 'SIGKILL');
    children[3]?.becomesReady();
    expect(supervisor.ready).toBe(3);
  });

  test('it dies again and again › backs off, opens no breaker, touches no worker', () => {
    const { supervisor, children, pass } = reserved();
    for (let at = 0; at < 60_000; at += 100) {
      const last = children.at(-1);
      if (last?.connected && children.length > 2 && supervisor.standby?.pid === last.pid) last.exits(1);
      pass(100);
    }
    expect(children.length).toBeLessThan(14);
    expect(supervisor.breaker.open).toBe(false);
    expect(supervisor.ready).toBe(2);
  });

  test('it dies now and then, each time after minutes › the next one comes at once', () => {
    const { supervisor, children, pass } = reserved();
    for (let death = 0; death < 12; death += 1) {
      const last = children.at(-1) as FakeChild;
      last.hello();
      for (let minute = 0; minute < 2; minute += 1) {
        pass(60_000);
        last.reports();
      }
      const forks = children.length;
      last.exits(null, 'SIGKILL');
      pass(300);
      expect(children).toHaveLength(forks + 1);
    }
    expect(supervisor.standby).not.toBeNull();
  });

  test('stop › it goes as well, before the stop is over', () => {
    const { supervisor, first, second, reserve, happened } = reserved();
    supervisor.stop();
    first.exits(0);
    second.exits(0);
    expect(happened).not.toContain('stopped');
    expect(reserve.killedWith).toBe('SIGKILL');
    reserve.exits(null, 'SIGKILL');
    expect(happened).toContain('stopped');
  });
});
