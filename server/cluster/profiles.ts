/**
 * CPU profiles on demand, one at a time. The worker is set aside first: it finishes what it has and serves the connections it
 * holds, but gets no new one while it is slowed down, as long as others serve. It writes the file itself, into the folder of evidence.
 */
import { log } from '../../lib/log';
import { evidenceName } from './evidence-folder';
import type { FromChild, ToChild } from './messages';
import type { WorkerState } from './worker-state';

export interface ProfileRequest {
  slot: number;
  seconds: number;
}

/** The part of a worker's handle that is used here. */
export interface Profilable {
  readonly id: string;
  readonly slot: number;
  readonly pid: number;
  readonly state: WorkerState;
  profiled: boolean;
  send(message: ToChild): void;
}

/** There is no such profile to be had; the message is for the operator. */
export class ProfileRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProfileRefused';
  }
}

interface Running {
  call: number;
  worker: Profilable;
  settle: (outcome: { path: string } | Error) => void;
}

export const PROFILE_SECONDS = { least: 1, most: 60 } as const;
/** Beyond the profile itself: a busy worker starts late, and writes its file. */
const GRACE_MS = 15_000;
const MS_PER_S = 1_000;

export class Profiles {
  readonly #workers: () => readonly Profilable[];
  #running: Running | null = null;
  #calls = 0;

  /** @param workers HTTP workers that are not gone */
  constructor(workers: () => readonly Profilable[]) {
    this.#workers = workers;
  }

  /** The slot that is being profiled; null at rest. */
  get running(): number | null {
    return this.#running?.worker.slot ?? null;
  }

  /**
   * Profiles the worker of a slot for some seconds. @returns the path of a `.cpuprofile`, which browsers' developer tools open
   * @throws ProfileRefused while another runs, without a ready worker in that slot, for an odd duration, or when it did not work out
   */
  async startProfile({ slot, seconds }: ProfileRequest): Promise<{ path: string }> {
    if (!Number.isFinite(seconds) || seconds < PROFILE_SECONDS.least || seconds > PROFILE_SECONDS.most)
      throw new ProfileRefused(`a profile takes from ${PROFILE_SECONDS.least} to ${PROFILE_SECONDS.most} seconds`);
    if (this.#running) throw new ProfileRefused(`the worker in slot ${this.#running.worker.slot} is being profiled`);
    const worker = this.#workers().find((one) => one.slot === slot && one.state === 'ready');
    if (!worker) throw new ProfileRefused(`no worker is ready in slot ${slot}`);
    this.#calls += 1;
    const call = this.#calls;
    const name = evidenceName('profile', new Date(), `s${slot}-${worker.pid}.cpuprofile`);
    log.info('profile begins', { worker: worker.id, slot, worker_pid: worker.pid, seconds });
    worker.profiled = true;
    let timer: NodeJS.Timeout | undefined;
    try {
      const outcome = await new Promise<{ path: string } | Error>((settle) => {
        this.#running = { call, worker, settle };
        timer = setTimeout(
          () => settle(new ProfileRefused('the worker did not deliver its profile in time')),
          seconds * MS_PER_S + GRACE_MS,
        );
        worker.send({ type: 'profile', call, name, seconds });
      });
      if (outcome instanceof Error) throw outcome;
      log.info('profile written', { worker: worker.id, slot, artefact: outcome.path });
      return outcome;
    } finally {
      clearTimeout(timer);
      worker.profiled = false;
      this.#running = null;
    }
  }

  /** The worker's answer. A late one finds nobody. */
  onProfiled(worker: Profilable, { call, path, problem }: Extract<FromChild, { type: 'profiled' }>): void {
    if (this.#running?.worker !== worker || this.#running.call !== call) return;
    this.#running.settle(path === null ? new ProfileRefused(problem ?? 'the profile failed') : { path });
  }

  /** The worker is gone, and its profile with it. */
  forget(worker: Profilable): void {
    if (this.#running?.worker === worker) this.#running.settle(new ProfileRefused('the worker ended before its profile'));
  }
}
