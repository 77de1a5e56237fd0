/** The blocks `jobs` and `outbox` of `/stats`, from the last report of this instance's job process. */
import type { Config } from '../../config';
import type { WorkerHandle } from '../cluster/worker-handle';
import { rounded } from './rounding';
import type { Stats } from './stats.schema';

/** The queue is counted every two seconds; figures this old mean that the database does not answer. */
const STALE_MS = 10_000;

/** What of the primary's knowledge is needed. */
export interface QueueSource {
  config: Pick<Config, 'JOBS'>;
  supervisor: { readonly jobProcess: Pick<WorkerHandle, 'state' | 'report'> | null };
}

export function queueStats({ config, supervisor }: QueueSource, now = Date.now()): Pick<Stats, 'jobs' | 'outbox'> {
  const child = supervisor.jobProcess;
  const queue = child?.report?.queue ?? null;
  return {
    jobs: {
      name: 'graphile-worker',
      status: !config.JOBS
        ? 'off'
        : child?.state !== 'ready'
          ? 'down'
          : !queue || now - Date.parse(queue.read_at) > STALE_MS
            ? 'stale'
            : 'up',
      depth: queue?.depth ?? null,
      oldest_s: queue ? rounded(queue.oldest_s, 1) : null,
      retries: queue?.retries ?? null,
      dead: queue?.dead ?? null,
    },
    outbox: {
      pending: queue?.outbox_pending ?? null,
      oldest_s: queue ? rounded(queue.outbox_oldest_s, 1) : null,
      failed: queue?.outbox_failed ?? null,
    },
  };
}
