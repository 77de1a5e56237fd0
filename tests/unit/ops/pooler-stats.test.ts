import type { PoolerReport } from '../../../server/cluster/messages';
import { poolerStats } from '../../../server/ops/pooler-stats';
import { poolerFigures } from '../../../server/ops/pooler-watch';

const NOW = Date.parse('2026-03-01T10:00:00Z');
const FIGURES = { cl_active: 3, cl_waiting: 1, sv_active: 2, sv_idle: 4, maxwait_s: 0.25 };
const child = (secondsAgo: number, figures: Partial<PoolerReport> = {}) => ({
  report: { pooler: { ...FIGURES, ...figures, read_at: new Date(NOW - secondsAgo * 1000).toISOString() } },
});

describe('poolerFigures', () => {
  const row = { cl_active: 1, cl_waiting: 2, sv_active: 3, sv_idle: 4, sv_used: 5, maxwait: 1, maxwait_us: 500_000 };

  test('pools of our database › added up over its users, numbers or text', () => {
    const other = { ...row, user: 'b', cl_active: '10', maxwait: 0, maxwait_us: 9 };
    expect(
      poolerFigures(
        [
          { database: 'shop', user: 'a', ...row },
          { database: 'shop', ...other },
        ],
        'shop',
      ),
    ).toEqual({
      cl_active: 11,
      cl_waiting: 4,
      sv_active: 6,
      sv_idle: 18,
      maxwait_s: 1.5,
    });
  });

  test('pools of other databases, the console among them › left out', () => {
    const nothing = { cl_active: 0, cl_waiting: 0, sv_active: 0, sv_idle: 0, maxwait_s: 0 };
    expect(
      poolerFigures(
        [
          { database: 'pgbouncer', ...row },
          { database: 'shop2', ...row },
        ],
        'shop',
      ),
    ).toEqual(nothing);
  });
});

describe('poolerStats', () => {
  test('the newest fresh reading › shown without its time', () => {
    expect(poolerStats([child(4, { cl_active: 99 }), child(1), { report: null }], NOW)).toEqual(FIGURES);
  });

  test('nobody watches › null', () => {
    expect(poolerStats([{ report: null }, { report: { pooler: null } }], NOW)).toBeNull();
  });

  test('readings older than five seconds › null: the pooler does not answer', () => {
    expect(poolerStats([child(6)], NOW)).toBeNull();
  });
});
