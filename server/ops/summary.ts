/** The line that the primary logs each minute: enough to see in the log alone how the service fared. */
import type { Supervisor } from '../cluster/supervisor';
import { ratio, toMs } from './rounding';
import { HISTOGRAMS } from './stats';
import { combine, percentile, type Windows } from './windows';

export function summaryFields({ supervisor, windows }: { supervisor: Supervisor; windows: Windows }): Record<string, unknown> {
  const view = windows.view(60);
  const distributions = view.distributions(HISTOGRAMS.requests);
  const all = combine(distributions);
  const errors = combine(distributions.filter(({ labels }) => labels['status_class'] === '5xx')).count;
  return {
    requests: all.count,
    errors,
    error_rate: ratio(errors, all.count),
    p50_ms: toMs(percentile(all, 0.5)),
    p95_ms: toMs(percentile(all, 0.95)),
    p99_ms: toMs(percentile(all, 0.99)),
    workers_ready: supervisor.ready,
    workers_target: supervisor.target,
    restarts: [...supervisor.restarts.values()].reduce((sum, count) => sum + count, 0),
  };
}
