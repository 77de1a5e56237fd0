/** The number of workers changes, and with it the division of the connection budget: who goes, who stays, who gets which share. */
import { running, settled } from './world';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

describe('the connection budget', () => {
  test('scaled up and down › shares shrink before others grow, and the sum never exceeds the limit', () => {
    const { supervisor, children, pass } = running();
    const sums: number[] = [];
    const follow = () => {
      for (const child of children)
        for (const message of child.sent.splice(0))
          if (message.type === 'resize') child.says({ type: 'resized', max: message.poolMax });
          else if (message.type === 'drain') child.exits(0);
      for (const child of children) if (child.connected && !child.got('grant')) child.becomesReady();
      sums.push(supervisor.ledger.granted);
      pass(100);
    };
    supervisor.scale(4);
    for (let round = 0; round < 20; round += 1) follow();
    expect(supervisor.ready).toBe(4);
    expect(supervisor.workers.map(({ id }) => supervisor.ledger.grantOf(id)?.max)).toEqual([4, 4, 4, 4]);
    supervisor.scale(2);
    for (let round = 0; round < 20; round += 1) follow();
    expect(supervisor.ready).toBe(2);
    expect(supervisor.workers.map(({ id }) => supervisor.ledger.grantOf(id)?.max)).toEqual([7, 6]);
    expect(Math.max(...sums)).toBeLessThanOrEqual(20);
    expect(() => supervisor.scale(10)).toThrow('DB_POOL_MAX is 20');
    expect(supervisor.target).toBe(2);
  });

  test('scaled down while the slot that stays is empty › one serves on until somebody does there, and all get their shares', () => {
    const { supervisor, children, pass, latest } = running({ workers: 4, poolMax: 40 });
    children[0]?.exits(null, 'SIGKILL');
    supervisor.scale(1);
    const told = () => children.filter((child) => child.got('drain'));
    expect(told()).toEqual([children[2], children[3]]);
    for (const child of told()) child.exits(0);
    pass(1_000);
    expect([supervisor.ready, told()]).toEqual([1, [children[2], children[3]]]);
    expect(latest()).toBe(children[4]);
    latest().becomesReady();
    pass(100);
    expect(told()).toEqual([children[1], children[2], children[3]]);
    children[1]?.exits(0);
    expect(supervisor.workers.map(({ slot, state }) => [slot, state])).toEqual([[1, 'ready']]);
  });

  test('whoever fills the empty slot dies some seconds later › the one that stood in serves on until a newcomer is ten seconds old', () => {
    const { supervisor, children, pass, latest } = running({ workers: 4, poolMax: 40 });
    pass(20_000);
    children[0]?.exits(null, 'SIGKILL');
    supervisor.scale(1);
    for (const child of children) if (child.got('drain')) child.exits(0);
    pass(1_000);
    latest().becomesReady();
    pass(5_000);
    expect(supervisor.isWhole).toBe(true);
    expect(children[1]?.got('drain')).toBeUndefined();
    latest().exits(1);
    pass(1_000);
    expect([supervisor.ready, supervisor.isWhole]).toEqual([1, false]);
    latest().becomesReady();
    pass(9_000);
    expect([children[1]?.got('drain'), supervisor.isWhole]).toEqual([undefined, true]);
    pass(2_000);
    expect(children[1]?.got('drain')).toBeDefined();
  });

  test('who stands in was about to leave with its last request, and its replacement goes › it is told to stay', () => {
    const { supervisor, first, second, pass, latest } = running();
    second.reports({ requests_count: 0 });
    pass(1_000);
    second.reports({ requests_count: 600 });
    pass(100);
    const replacement = latest();
    replacement.becomesReady();
    expect(second.got('limit-leave')).toMatchObject({ allowed: true });
    first.exits(null, 'SIGKILL');
    for (const worker of supervisor.workers) if (worker.pid === replacement.pid) jest.spyOn(worker, 'isSound').mockReturnValue(false);
    supervisor.scale(1);
    expect([replacement.got('drain'), second.got('drain')]).toEqual([expect.anything(), undefined]);
    expect(second.sent.filter(({ type }) => type === 'limit-leave').at(-1)).toMatchObject({ allowed: false });
  });

  test('a roll while one stands in for an empty slot › nobody is forked to replace it', async () => {
    const { supervisor, children, pass, latest } = running({ workers: 2, poolMax: 40, canaryMs: 0 });
    children[0]?.exits(null, 'SIGKILL');
    supervisor.scale(1);
    const { id } = supervisor.roll();
    await settled();
    pass(3_000);
    expect(children).toHaveLength(3);
    latest().becomesReady();
    pass(100);
    children[1]?.exits(0);
    pass(100);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'completed' });
    expect(children).toHaveLength(3);
  });

  test('an old worker stands in for one that the roll has just brought › the roll is not over before it is gone', async () => {
    const { supervisor, children, pass, latest } = running({ workers: 2, poolMax: 40, canaryMs: 1_000 });
    pass(20_000);
    const { id } = supervisor.roll();
    await settled();
    pass(100);
    latest().becomesReady();
    pass(1_500);
    supervisor.scale(1);
    children[0]?.exits(0);
    pass(3_000);
    expect(supervisor.rollStatus).toMatchObject({ state: 'rolling', done: 1, total: 1 });
    expect(children[1]?.got('drain')).toBeUndefined();
    pass(7_000);
    expect(children[1]?.got('drain')).toBeDefined();
    pass(100);
    await expect(supervisor.rollEnded(id)).resolves.toMatchObject({ result: 'completed' });
    expect(children).toHaveLength(3);
  });

  test('a worker beyond the target that stands in › is not renewed: it goes as soon as the others do without it', () => {
    const { supervisor, children } = running({ workers: 2, poolMax: 40 });
    children[0]?.exits(null, 'SIGKILL');
    supervisor.scale(1);
    expect(() => supervisor.recycle(2)).toThrow('leaves as soon as the others do without it');
  });

  test('no share free › a worker waits after its hello instead of going over the limit', () => {
    const { supervisor, first, second, children, pass } = running({ poolMax: 6, poolMin: 2 });
    // 2 + 2 and a surge of 2: two crashing workers hold their shares while both replacements ask for one.
    first.says({ type: 'crashing', message: 'x', requestId: null });
    second.says({ type: 'crashing', message: 'x', requestId: null });
    pass(300);
    expect(children).toHaveLength(4);
    children[2]?.hello();
    children[3]?.hello();
    expect(children[2]?.got('grant')).toBeDefined();
    expect(children[3]?.got('grant')).toBeUndefined();
    expect(supervisor.ledger.granted).toBe(6);
    first.exits(70);
    expect(children[3]?.got('grant')).toBeDefined();
  });
});
