import fc from 'fast-check';
import {
  isReopening,
  planTransition,
  type Stamps,
  stampsAfter,
  stampsAtCreation,
  type TransitionSource,
} from '../../../models/appointment-transitions';
import { APPOINTMENT_STATUSES, type AppointmentStatus, parseStatus } from '../../../schemas/appointments.schema';

/** Every allowed change, written out: `from>to` -> the sources that may make it. Everything absent is refused. */
const ALLOWED: Record<string, readonly TransitionSource[]> = {
  'SCHEDULED>IN_PROGRESS': ['move', 'quick', 'patch'],
  'SCHEDULED>READY': ['move', 'quick', 'patch'],
  'SCHEDULED>NO_SHOW': ['move', 'quick', 'patch'],
  'SCHEDULED>CANCELED': ['move', 'quick', 'patch'],
  'SCHEDULED>COMPLETED': ['patch'],
  'IN_PROGRESS>READY': ['move', 'quick', 'patch'],
  'IN_PROGRESS>COMPLETED': ['move', 'quick', 'patch'],
  'IN_PROGRESS>SCHEDULED': ['patch'],
  'READY>COMPLETED': ['move', 'quick', 'patch'],
  'READY>IN_PROGRESS': ['patch'],
  'NO_SHOW>SCHEDULED': ['patch'],
  'CANCELED>SCHEDULED': ['patch'],
};
const SOURCES = ['move', 'quick', 'patch'] as const;
const PAIRS = APPOINTMENT_STATUSES.flatMap((from) => APPOINTMENT_STATUSES.flatMap((to) => SOURCES.map((source) => ({ from, to, source }))));

test.each(PAIRS)('planTransition › $from to $to by $source', ({ from, to, source }) => {
  const plan = planTransition(from, to, source);
  if (from === to) expect(plan).toEqual(source === 'move' ? null : []);
  else if (!ALLOWED[`${from}>${to}`]?.includes(source)) expect(plan).toBeNull();
  else expect(plan).toEqual(from === 'SCHEDULED' && to === 'COMPLETED' ? ['IN_PROGRESS', 'COMPLETED'] : [to]);
});

const NONE: Stamps = { startedAt: null, completedAt: null, checkInAt: null, checkOutAt: null };
const status = fc.constantFrom(...APPOINTMENT_STATUSES);
const source = fc.constantFrom(...SOURCES);

test('stamps › any walk through the machine › a time once set changes only by undoing the start', () => {
  fc.assert(
    fc.property(status, fc.array(fc.tuple(status, source), { maxLength: 30 }), (first, wishes) => {
      let now = 1_800_000_000_000;
      let current: AppointmentStatus = first;
      let stamps = NONE;
      for (const [to, by] of wishes) {
        now += 60_000;
        for (const next of planTransition(current, to, by) ?? []) {
          const before = stamps;
          stamps = stampsAfter(before, current, next, new Date(now));
          const undone = current === 'IN_PROGRESS' && next === 'SCHEDULED';
          for (const key of ['startedAt', 'completedAt', 'checkInAt', 'checkOutAt'] as const)
            if (before[key] && !(undone && key === 'startedAt')) expect(stamps[key]).toEqual(before[key]);
          if (undone) expect(stamps.startedAt).toBeNull();
          if (next === 'IN_PROGRESS') expect(stamps.startedAt && stamps.checkInAt).toBeTruthy();
          if (next === 'COMPLETED') expect(stamps.completedAt && stamps.checkOutAt).toBeTruthy();
          current = next;
        }
      }
    }),
  );
});

test('planTransition › the last step of a plan › is the wished status, and each step is a change', () => {
  fc.assert(
    fc.property(status, status, source, (from, to, by) => {
      const plan = planTransition(from, to, by);
      if (!plan?.length) return;
      expect(plan.at(-1)).toBe(to);
      [from, ...plan].reduce((previous, next) => {
        expect(next).not.toBe(previous);
        return next;
      });
    }),
  );
});

test('isReopening › exactly the four steps back', () => {
  const edges = PAIRS.filter(({ from, to, source: by }) => by === 'patch' && isReopening(from, to)).map(({ from, to }) => `${from}>${to}`);
  expect(edges.sort()).toEqual(['CANCELED>SCHEDULED', 'IN_PROGRESS>SCHEDULED', 'NO_SHOW>SCHEDULED', 'READY>IN_PROGRESS']);
});

describe('stampsAtCreation', () => {
  const start = new Date('2027-03-01T17:00:00Z');
  const end = new Date('2027-03-01T18:00:00Z');

  test('completed in the past › start and end become the stamps', () => {
    expect(stampsAtCreation('COMPLETED', { start, end, now: new Date('2027-03-02T00:00:00Z') })).toEqual({
      startedAt: start,
      checkInAt: start,
      completedAt: end,
      checkOutAt: end,
    });
  });

  test('completed now without an end › nothing lies in the future', () => {
    const now = new Date('2027-03-01T16:59:00Z');
    expect(stampsAtCreation('COMPLETED', { start, end: null, now })).toEqual({
      startedAt: now,
      checkInAt: now,
      completedAt: now,
      checkOutAt: now,
    });
  });

  test.each(['SCHEDULED', 'NO_SHOW', 'CANCELED'] as const)('%s › no stamps', (word) => {
    expect(stampsAtCreation(word, { start, end, now: end })).toEqual(NONE);
  });
});

test.each([
  ['in-progress', 'IN_PROGRESS'],
  ['No-Show', 'NO_SHOW'],
  ['cancelled', 'CANCELED'],
  [' canceled ', 'CANCELED'],
  ['ready', 'READY'],
  ['done', null],
  ['', null],
  ['CANCELLEDX', null],
])('parseStatus › %j › %s', (word, expected) => {
  expect(parseStatus(word)).toBe(expected);
});
