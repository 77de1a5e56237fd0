/** What remains of children that are gone: their counts and the processor time they used. */
import { log } from '../../lib/log';
import type { SnapshotStore } from './snapshots';
import type { WorkerHandle } from './worker-handle';

export class Books {
  readonly #store: SnapshotStore;
  #cpuSecondsOfGone = 0;
  /** Those whose processor time was told, until their account is closed: some time after their end. */
  readonly #told = new Set<WorkerHandle>();

  constructor(store: SnapshotStore) {
    this.#store = store;
  }

  /** Nothing more can come from `worker`: close its account. */
  settle(worker: WorkerHandle): void {
    this.#told.delete(worker);
    this.#cpuSecondsOfGone += worker.report?.cpu_s ?? 0;
    // A worker that never served has counted nothing that could be lost.
    const complete = worker.sentFinal || worker.readyAt === null;
    this.#store.retire(worker.id, complete).catch((error: unknown) => log.error('the metrics of a worker could not be kept', { error }));
  }

  /** Processor seconds of all children, those that are gone included. Never falls. */
  cpuSeconds(children: readonly WorkerHandle[]): number {
    for (const child of children) this.#told.add(child);
    let sum = this.#cpuSecondsOfGone;
    for (const { report } of this.#told) sum += report?.cpu_s ?? 0;
    return sum;
  }
}
