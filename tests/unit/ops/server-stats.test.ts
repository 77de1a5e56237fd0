import type { Report } from '../../../server/cluster/messages';
import { serverStats } from '../../../server/ops/server-stats';

const NOW = Date.parse('2031-01-01T12:00:00Z');
const figures = (ageMs: number, used: number, sampled: string | null = null): { report: Report } => ({
  report: {
    figures: {
      server: { max_connections: 100, used, idle_in_transaction: 0, longest_transaction_s: 0 },
      profiler: 'up',
      sampled_at: sampled,
      top: [{ queryid: '1', fingerprint: 'SELECT ?', calls: 1, mean: 1, total: 1, rows: 1 }],
      regressions: [],
      read_at: new Date(NOW - ageMs).toISOString(),
    },
  } as unknown as Report,
});

test('nobody has asked › unknown, no figures', () => {
  expect(serverStats([{ report: null }], NOW)).toEqual({
    server: null,
    top: null,
    profiler: { status: 'unknown', sampled_at: null, regressions: [] },
  });
});

test('an old and a new worker in the asking slot › the later reading', () => {
  expect(serverStats([figures(9_000, 5), figures(1_000, 7), figures(4_000, 6)], NOW).server?.used).toBe(7);
});

test('the database does not answer any more › no figures of now, but the last profile with its time', () => {
  const blocks = serverStats([figures(60_000, 5, '2031-01-01T11:55:00.000Z')], NOW);
  expect(blocks.server).toBeNull();
  expect(blocks.top).toHaveLength(1);
  expect(blocks.profiler).toEqual({ status: 'up', sampled_at: '2031-01-01T11:55:00.000Z', regressions: [] });
});
