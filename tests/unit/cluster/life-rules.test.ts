/** Rules about the life of one worker: its deadlines, its last request, its last words, its long-lived answers. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { endLongLived, longLivedCount, whileServing } from '../../../lib/long-lived';
import { Breaker } from '../../../server/cluster/breaker';
import { Attendance, beginDrain, excuse, hurry, overdue } from '../../../server/cluster/deadlines';
import { tellingLine } from '../../../server/cluster/deaths';
import { RequestLimit } from '../../../server/cluster/request-limit';
import { Tail } from '../../../server/cluster/tail';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

describe('the boot deadline', () => {
  const LIMITS = { bootTimeoutMs: 30_000, workerTimeoutMs: 60_000 };
  const booting = { killReason: null, drain: null, lastCheckinAt: 0 };

  test('loading and what follows the grant have one clock; waiting for the share stops it', () => {
    fc.assert(
      fc.property(fc.nat(40_000), fc.nat(40_000), fc.nat(40_000), (loading, waiting, opening) => {
        const helloAt = loading;
        const grantedAt = helloAt + waiting;
        const now = grantedAt + opening;
        const worker = { ...booting, state: 'granted' as const, forkedAt: 0, helloAt, grantedAt, lastCheckinAt: now };
        expect(overdue(worker, now, LIMITS) !== null).toBe(loading + opening > LIMITS.bootTimeoutMs);
        expect(overdue({ ...worker, state: 'hello', grantedAt: null }, now, LIMITS)).toBeNull();
      }),
    );
  });

  test('one from the reserve had loaded before › its clock begins when it is called for', () => {
    const worker = { ...booting, state: 'granted' as const, forkedAt: 100_000, helloAt: 5_000, grantedAt: 100_000, lastCheckinAt: 129_000 };
    expect(overdue(worker, 129_000, LIMITS)).toBeNull();
    expect(overdue(worker, 130_001, LIMITS)).toEqual({ reason: 'boot_timeout', limitMs: 30_000 });
  });
});

describe('the drain deadline', () => {
  const LIMITS = { bootTimeoutMs: 30_000, workerTimeoutMs: 300_000 };
  const SERVING = { kind: 'http' as const, crashing: false };
  const ms = fc.nat(60_000);

  test('others take over › GRACEFUL_TIMEOUT begins when the last kept connection is closed; a stop of all waits for no connection', () => {
    fc.assert(
      fc.property(ms, ms, ms, fc.constantFrom('roll' as const, 'max_requests' as const, 'stop' as const), (graceful, idle, at, reason) => {
        const drain = beginDrain(SERVING, reason, 0, { gracefulTimeoutMs: graceful, idleGraceMs: idle });
        const worker = { state: 'draining' as const, killReason: null, forkedAt: 0, helloAt: 0, grantedAt: 0, lastCheckinAt: at, drain };
        expect(overdue(worker, at, LIMITS) !== null).toBe(at > graceful + (reason === 'stop' ? 0 : idle));
      }),
    );
  });

  test.each([
    [{ kind: 'jobs' as const, crashing: false }, 'roll' as const],
    [{ kind: 'http' as const, crashing: true }, 'manual' as const],
  ])('nobody comes back to %j › GRACEFUL_TIMEOUT alone', (worker, reason) => {
    expect(beginDrain(worker, reason, 0, { gracefulTimeoutMs: 30_000, idleGraceMs: 6_000 }).limitMs).toBe(30_000);
  });

  test('a stop of all during it › never longer than the others have, and never longer than it had', () => {
    fc.assert(
      fc.property(ms, ms, ms, (graceful, idle, stopAt) => {
        const worker = { drain: beginDrain(SERVING, 'roll', 0, { gracefulTimeoutMs: graceful, idleGraceMs: idle }) };
        hurry(worker, stopAt, { gracefulTimeoutMs: graceful });
        expect(worker.drain.limitMs).toBe(Math.min(graceful + idle, stopAt + graceful));
      }),
    );
  });
});

describe('a primary that was not run for a while', () => {
  const LIMITS = { bootTimeoutMs: 30_000, workerTimeoutMs: 30_000 };
  const looks = (...times: number[]): number[] => {
    const attendance = new Attendance();
    return times.map((now) => attendance.look(now));
  };

  test('looks in time › all of it counts; a gap › a second of it counts', () => {
    expect(looks(500, 600, 1_600, 61_600, 61_700)).toEqual([0, 0, 0, 59_000, 0]);
  });

  test('whatever the gaps › a worker is overdue by the time that was looked at, and a gap alone makes nobody overdue', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: 120_000 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(gaps, fc.constantFrom('forked', 'granted', 'draining', 'ready'), (steps, state) => {
        const attendance = new Attendance();
        const drain = state === 'draining' ? { reason: 'roll' as const, since: 0, limitMs: 30_000 } : null;
        const started = state === 'forked' ? { helloAt: null, grantedAt: null } : { helloAt: 0, grantedAt: 0 };
        const worker = { state, killReason: null, forkedAt: 0, lastCheckinAt: 0, drain, ...started } as const;
        const timed = { ...worker };
        let now = 0;
        let counted = 0;
        attendance.look(now);
        for (const step of steps) {
          now += step;
          counted += Math.min(step, 1_000);
          excuse(timed, attendance.look(now), now);
          expect(overdue(timed, now, LIMITS) !== null).toBe(counted > 30_000);
        }
      }),
    );
  });

  test('a worker that was heard of after the gap, before the look › nothing of it lies in the future', () => {
    const timed = { forkedAt: 59_500, helloAt: 59_900, grantedAt: 60_000, lastCheckinAt: 60_000, drain: null };
    excuse(timed, 59_000, 60_000);
    expect(timed).toEqual({ forkedAt: 60_000, helloAt: 60_000, grantedAt: 60_000, lastCheckinAt: 60_000, drain: null });
  });
});

test('five workers in a row that never got ready › the breaker opens, however far apart they died; one that got ready starts the count anew', () => {
  const breaker = new Breaker();
  for (let death = 1; death <= 4; death += 1) expect(breaker.onDeath(death * 60_000, 0, true)).toBe(false);
  breaker.onReady();
  for (let death = 5; death <= 8; death += 1) expect(breaker.onDeath(death * 60_000, 0, true)).toBe(false);
  expect(breaker.onDeath(540_000, 0, true)).toBe(true);
  expect(breaker.allowFork(560_000)).toBe(false);
  expect(breaker.allowFork(570_000)).toBe(true);
});

describe('the last request', () => {
  const counting = (limit: number) => {
    const said: string[] = [];
    const rule = new RequestLimit(limit, {
      reached: (answered, leaving) => said.push(`${answered}${leaving ? ' leaving' : ''}`),
      leave: () => said.push('leave'),
    });
    return { rule, said };
  };

  test('leave allowed before › it leaves with exactly that request; allowed later › it leaves then, once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.nat(80), (limit, allowedAt) => {
        const { rule, said } = counting(limit);
        for (let answered = 0; answered <= 100; answered += 1) {
          if (answered === allowedAt) rule.allowLeave(true);
          if (answered > 0) rule.onAnswered(answered);
        }
        rule.allowLeave(true);
        const leftAt = Math.max(limit, allowedAt - 1);
        expect(said).toEqual(allowedAt <= limit ? [`${limit} leaving`, 'leave'] : [`${limit}`, `${leftAt} leaving`, 'leave']);
      }),
    );
  });

  test('the leave is taken back › it stays, and says that the limit is reached; no limit › nothing', () => {
    const { rule, said } = counting(3);
    rule.allowLeave(true);
    rule.onAnswered(2);
    rule.allowLeave(false);
    rule.onAnswered(3);
    rule.onAnswered(4);
    expect(said).toEqual(['3']);
    const free = counting(0);
    free.rule.allowLeave(true);
    free.rule.onAnswered(1_000);
    expect(free.said).toEqual([]);
  });
});

describe('last words', () => {
  const STACK = [
    '/srv/worker.js:3',
    "    throw new Error('this release is broken');",
    '    ^',
    '',
    'Error: this release is broken',
    '    at Object.<anonymous> (/srv/worker.js:3:9)',
    '',
    'Node.js v20.20.2',
  ];

  test.each([
    [STACK, 'Error: this release is broken'],
    [
      ["Error: Cannot find module 'x'", '    at y', "  code: 'MODULE_NOT_FOUND',", '}', '', 'Node.js v24.1.0'],
      "Error: Cannot find module 'x'",
    ],
    [['Configuration refused:', '  PORT: must be a number'], 'Configuration refused:'],
    [[], null],
  ])('%#', (lines, telling) => {
    expect(tellingLine(lines)).toBe(telling);
  });

  test('they arrive after the exit › waited for; a pipe that stays open › not for ever', async () => {
    const tail = new Tail(() => undefined);
    const pipe = new PassThrough();
    tail.follow(pipe);
    const ended = tail.ended(10_000);
    pipe.end('late words\n');
    await ended;
    expect(tail.lines).toEqual(['late words']);
    const open = new Tail(() => undefined);
    open.follow(new PassThrough());
    await expect(open.ended(1)).resolves.toBeUndefined();
  });
});

test('long-lived answers › each is ended once when the process drains, one that fails keeps no other from its end, later ones end at once', () => {
  const ended: string[] = [];
  const closed = whileServing(() => ended.push('closed by itself'));
  whileServing(() => ended.push('one'));
  whileServing(() => {
    throw new Error('broken');
  });
  whileServing(() => ended.push('two'));
  closed();
  expect(longLivedCount()).toBe(3);
  endLongLived();
  endLongLived();
  whileServing(() => ended.push('late'));
  expect(ended).toEqual(['one', 'two', 'late']);
  expect(longLivedCount()).toBe(0);
});
