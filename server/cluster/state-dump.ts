/** The state of the whole cluster as one log entry, for a person who reads the log because nothing else answers. */
import { clusterState } from '../ops/stats';
import type { Supervisor } from './supervisor';

export function stateDump(supervisor: Supervisor): Record<string, unknown> {
  return {
    state: clusterState({ supervisor }),
    roll: supervisor.rollStatus,
    granted: supervisor.ledger.granted,
    limit: supervisor.ledger.limit,
    workers: supervisor.children.map(({ id, kind, slot, pid, state, drain, report }) => ({
      id,
      kind,
      slot,
      pid,
      state,
      drain: drain?.reason,
      requests: report?.requests_count,
      in_flight: report?.in_flight,
      hanging: report?.hanging,
    })),
  };
}
