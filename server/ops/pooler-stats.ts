/** The block `db.pgbouncer` of `/stats`: what the worker that watches the pooler read last. */
import type { PoolerReport, Report } from '../cluster/messages';
import type { Stats } from './stats.schema';

/** The pooler is asked every two seconds; older figures than this say nothing of now. */
const STALE_MS = 5_000;

/** The newest reading of all children; null when nobody has one that is fresh: no pooler is configured, or it does not answer. */
export function poolerStats(children: readonly { report: Pick<Report, 'pooler'> | null }[], now = Date.now()): Stats['db']['pgbouncer'] {
  const readings = children.flatMap(({ report }) => (report?.pooler ? [report.pooler] : []));
  const fresh = readings.filter(({ read_at }) => now - Date.parse(read_at) <= STALE_MS).sort((a, b) => b.read_at.localeCompare(a.read_at));
  const [newest] = fresh;
  return newest ? withoutTime(newest) : null;
}

const withoutTime = ({ read_at: _, ...figures }: PoolerReport): Omit<PoolerReport, 'read_at'> => figures;
