/** The blocks `db.server`, `db.top` and `db.profiler` of `/stats`, from the worker that asked the database last. */
import type { WorkerHandle } from '../cluster/worker-handle';
import type { Stats } from './stats.schema';

/** The server is asked every five seconds; figures this old are no longer how it is. */
const STALE_MS = 20_000;

type Blocks = Pick<Stats['db'], 'server' | 'top' | 'profiler'>;

/** The server's figures are null when nobody has read them lately; the last profile stays, with its own time. */
export function serverStats(children: readonly Pick<WorkerHandle, 'report'>[], now = Date.now()): Blocks {
  const [latest] = children
    .flatMap(({ report }) => (report?.figures ? [report.figures] : []))
    .sort((a, b) => (a.read_at < b.read_at ? 1 : -1));
  if (!latest) return { server: null, top: null, profiler: { status: 'unknown', sampled_at: null, regressions: [] } };
  const { server, top, profiler, sampled_at, regressions, read_at } = latest;
  return {
    server: now - Date.parse(read_at) > STALE_MS ? null : server,
    top: sampled_at === null ? null : top,
    profiler: { status: profiler, sampled_at, regressions },
  };
}
