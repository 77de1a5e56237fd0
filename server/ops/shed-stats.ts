/** What the gates of all workers refused: in their last reports, a second each, and by cause since the start. */
import { SHED_CAUSES, type ShedCause } from '../cluster/shedding';
import type { SnapshotStore } from '../cluster/snapshots';
import type { WorkerHandle } from '../cluster/worker-handle';
import type { Stats } from './stats.schema';

export const SHED_COUNTER = 'autoshop_http_requests_shed_total';

export function shedStats(workers: readonly Pick<WorkerHandle, 'report'>[], store: Pick<SnapshotStore, 'total'>): Stats['cluster']['shed'] {
  const now = new Map<ShedCause, number>(SHED_CAUSES.map((cause) => [cause, 0]));
  let offered = 0;
  let refused = 0;
  for (const { report } of workers) {
    if (!report) continue;
    offered += report.shed.offered;
    for (const cause of SHED_CAUSES) {
      const count = report.shed.shed[cause] ?? 0;
      refused += count;
      now.set(cause, (now.get(cause) ?? 0) + count);
    }
  }
  const [[cause] = [null]] = [...now].sort(([, a], [, b]) => b - a);
  return {
    active: refused > 0,
    fraction: offered === 0 ? 0 : Math.round((refused / offered) * 1000) / 1000,
    cause: refused > 0 ? cause : null,
    total_by_cause: Object.fromEntries(SHED_CAUSES.map((each) => [each, store.total(SHED_COUNTER, ({ reason }) => reason === each)])),
  };
}
