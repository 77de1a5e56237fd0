/** Who lives: the children that have a task, and the one in reserve. Knows them all and decides nothing. */
import type { WorkerHandle } from './worker-handle';

export class Roster {
  /** Loaded, or loading, without a slot, a share of the budget or a listener. */
  standby: WorkerHandle | null = null;
  readonly #members = new Map<string, WorkerHandle>();

  /** All children that have a task: workers and the job process, not the reserve. */
  get children(): WorkerHandle[] {
    return [...this.#members.values()];
  }

  /** HTTP workers that are not gone, by slot. */
  get workers(): WorkerHandle[] {
    return this.children.filter(({ kind }) => kind === 'http').sort((a, b) => a.slot - b.slot || a.forkedAt - b.forkedAt);
  }

  get jobProcess(): WorkerHandle | null {
    return this.children.find(({ kind }) => kind === 'jobs') ?? null;
  }

  /** Every process that was forked and is not gone. */
  get everybody(): WorkerHandle[] {
    return this.standby ? [...this.children, this.standby] : this.children;
  }

  get ready(): number {
    return this.workers.filter(({ serving }) => serving).length;
  }

  has(worker: WorkerHandle): boolean {
    return this.#members.has(worker.id);
  }

  add(worker: WorkerHandle): void {
    this.#members.set(worker.id, worker);
  }

  remove(worker: WorkerHandle): void {
    this.#members.delete(worker.id);
  }
}
