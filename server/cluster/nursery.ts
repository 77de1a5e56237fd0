/** Where children come from: forks them, and keeps the one in reserve that is loaded before it is needed. */

import { log } from '../../lib/log';
import type { End } from './deaths';
import { reasonOf } from './deaths';
import type { Recycling } from './recycling';
import type { Respawn } from './respawn';
import type { Roster } from './roster';
import { Tail } from './tail';
import { type Child, type HandleEvents, WorkerHandle } from './worker-handle';
import { isBooting } from './worker-state';

export const JOBS_SLOT = 0;
const STANDBY_SLOT = -1;

export interface NurseryOptions {
  spawn: (kind: 'http' | 'jobs', tail: Tail) => Child;
  writeLine: (line: string) => void;
  now: () => number;
}

export class Nursery {
  readonly #options: NurseryOptions;
  readonly #parts: { roster: Roster; respawn: Respawn; recycling: Recycling };
  readonly #events: HandleEvents;
  #forks = 0;

  constructor(options: NurseryOptions, parts: { roster: Roster; respawn: Respawn; recycling: Recycling }, events: HandleEvents) {
    this.#options = options;
    this.#parts = parts;
    this.#events = events;
  }

  /** A worker for a slot: the one in reserve when there is one, else a new process. */
  bringUp(slot: number): WorkerHandle {
    const { roster } = this.#parts;
    const reserve = roster.standby;
    if (!reserve || reserve.killReason !== null || !isBooting(reserve.state)) return this.spawn('http', slot);
    roster.standby = null;
    reserve.slot = slot;
    reserve.forkedAt = this.#options.now();
    roster.add(reserve);
    return reserve;
  }

  spawn(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const handle = this.#fork(kind, slot);
    this.#parts.roster.add(handle);
    return handle;
  }

  /** Forks one for the reserve, unless there is one or the last ones died of it. */
  keepReserve(now: number): void {
    const { roster, respawn } = this.#parts;
    if (!roster.standby && respawn.isDue(STANDBY_SLOT, now)) roster.standby = this.#fork('http', JOBS_SLOT);
  }

  /** The reserve was loaded before something that changes what workers load. */
  discardReserve(): void {
    const { roster } = this.#parts;
    roster.standby?.kill('roll');
    roster.standby = null;
  }

  /** Nobody missed it yet. It is tried again with the ordinary back-off; it does not count for the breaker. */
  buryReserve(worker: WorkerHandle, end: End): void {
    const { roster, respawn } = this.#parts;
    const reason = reasonOf(worker, end);
    worker.moveTo('gone');
    if (roster.standby === worker) roster.standby = null;
    if (worker.killReason === 'roll' || worker.killReason === 'stop') return;
    const now = this.#options.now();
    // It never serves; one that had loaded and then waited for long died of something else than the one before.
    respawn.delay(STANDBY_SLOT, now, now - (worker.helloAt ?? now));
    log.error('the worker in reserve died', {
      worker: worker.id,
      worker_pid: worker.pid,
      ...end,
      reason,
      last_words: worker.tail.lines.slice(-3),
    });
  }

  #fork(kind: 'http' | 'jobs', slot: number): WorkerHandle {
    const { now, writeLine, spawn } = this.#options;
    this.#forks += 1;
    const tail = new Tail(writeLine);
    const id = `${kind === 'http' ? 'w' : 'j'}${this.#forks}`;
    const identity = { id, kind, slot, now: now(), ...this.#parts.recycling.drawLimits(), tail };
    return new WorkerHandle(spawn(kind, tail), identity, this.#events);
  }
}
