/**
 * What each command of the control socket does to the supervisor, and when it is done. An act begins something and then watches
 * the supervisor's state until it has come about; it never holds anything up, and it goes on when nobody watches any more.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { YOUNG_MS } from './breaker';
import type { Act, Progress } from './control';
import { type Command, ControlRefusal } from './control-commands';
import { type ControlStatus, type StatusSource, statusOf } from './control-status';
import { EXIT } from './exit-codes';
import { ProfileRefused, type ProfileRequest } from './profiles';
import { Refusal } from './refusal';
import type { Supervisor } from './supervisor';
import type { WorkerHandle } from './worker-handle';

export interface ActsOptions extends StatusSource {
  /** Every worker has taken what was broadcast before; a silent one is not waited for. */
  settled(): Promise<void>;
  reopenLogs(): void;
  /** Rejects with ProfileRefused. */
  profile(request: ProfileRequest): Promise<{ path: string }>;
  /** Begins the graceful stop. @returns when everything has ended, with the exit code to be */
  stop(): Promise<number>;
  /** How long a booting worker and a draining one may take. */
  bootTimeoutMs: number;
  drainLimitMs: number;
}

const LOOK_MS = 50;
/** On top of the supervisor's own limits, after which it acts by itself. */
const SLACK_MS = 5_000;

export function actsOf(options: ActsOptions): Act {
  return (command, progress) => new Acts(options, progress).run(command);
}

/** What the supervisor refuses, in the words of the socket. */
function asControlRefusal({ code, message, roll }: Refusal): ControlRefusal {
  const later = code === 'roll_under_way' || code === 'not_running' || code === 'replacement_under_way';
  return new ControlRefusal(later ? 'busy' : 'failed', message, { reason: code, ...(roll === null ? {} : { roll }) });
}

class Acts {
  readonly #options: ActsOptions;
  readonly #supervisor: Supervisor;
  readonly #progress: Progress;

  constructor(options: ActsOptions, progress: Progress) {
    this.#options = options;
    this.#supervisor = options.supervisor;
    this.#progress = progress;
  }

  async run(command: Command): Promise<unknown> {
    try {
      return await this.#carryOut(command);
    } catch (error) {
      if (error instanceof Refusal) throw asControlRefusal(error);
      if (error instanceof ProfileRefused) throw new ControlRefusal('failed', error.message);
      throw error;
    }
  }

  async #carryOut(command: Command): Promise<unknown> {
    const { switches } = this.#options;
    switch (command.command) {
      case 'status':
        return statusOf(this.#options) satisfies ControlStatus;
      case 'roll':
        return this.#roll(command.wait);
      case 'scale':
        return this.#scale(command.workers);
      case 'recycle':
        return this.#recycle(command.slot);
      case 'drain':
        return this.#drain(command.slot);
      case 'profile':
        this.#workerIn(command.slot);
        this.#progress({ slot: command.slot, seconds: command.seconds });
        return this.#options.profile({ slot: command.slot, seconds: command.seconds });
      case 'maintenance':
        if (command.state === 'on') switches.startMaintenance(command.reason);
        else switches.endMaintenance();
        await this.#options.settled();
        return { maintenance: switches.maintenance };
      case 'log-level':
        switches.setLogLevel(command.level, command.minutes);
        await this.#options.settled();
        return { level: command.level, until: switches.logLevelUntil };
      case 'breaker-reset': {
        this.#requireRunning();
        const wasOpen = this.#supervisor.breaker.open;
        this.#supervisor.resetBreaker();
        return { was_open: wasOpen };
      }
      case 'reopen-logs':
        this.#options.reopenLogs();
        await this.#options.settled();
        return {};
      case 'stop':
        return this.#stop();
    }
  }

  async #stop(): Promise<unknown> {
    const code = await this.#options.stop();
    if (code === EXIT.ok) return { exit_code: code };
    const how = code === EXIT.forced ? 'but by force: what was not finished is cut off' : `with exit code ${code}`;
    throw new ControlRefusal('failed', `the service has stopped, ${how}`, { exit_code: code });
  }

  async #roll(wait: boolean): Promise<unknown> {
    this.#requireNoRoll();
    const { id } = this.#supervisor.roll();
    const ended = this.#supervisor.rollEnded(id);
    let { total } = this.#supervisor.rollStatus;
    this.#progress({ roll: id, replaced: 0, of: total });
    if (!wait) return { roll: id, state: 'rolling' };
    let over = false;
    const end = ended.finally(() => {
      over = true;
    });
    let shown = 0;
    while (!over) {
      const { id: current, done, total: wanted } = this.#supervisor.rollStatus;
      if (current === id) {
        total = wanted;
        if (done !== shown) this.#progress({ roll: id, replaced: done, of: total });
      }
      shown = done;
      await Promise.race([end, delay(LOOK_MS)]);
    }
    const { result, reason, ms } = await end;
    if (result === 'completed') {
      if (shown !== total) this.#progress({ roll: id, replaced: total, of: total });
      return { roll: id, result, replaced: total, ms };
    }
    const why = reason ?? 'a replacement did not become ready';
    const others = shown < total ? ', the others serve' : '';
    const rest = shown === 0 ? 'the old workers serve' : `${shown} of ${total} workers are replaced${others}`;
    throw new ControlRefusal('aborted', `rolling restart ${id} stopped: ${why}; ${rest}`, { roll: id, reason: why, replaced: shown });
  }

  async #scale(workers: number): Promise<unknown> {
    this.#requireRunning();
    this.#requireNoRoll();
    const from = this.#supervisor.target;
    try {
      this.#supervisor.scale(workers);
    } catch (error) {
      if (error instanceof RangeError) throw new ControlRefusal('failed', error.message, { argument: 'workers' });
      throw error;
    }
    let shown = -1;
    const { bootTimeoutMs, drainLimitMs } = this.#options;
    // Who stands in for a worker that is new in its slot stays until that one is proven.
    await this.#until(`${workers} workers`, bootTimeoutMs + YOUNG_MS + drainLimitMs, () => {
      if (this.#supervisor.target !== workers)
        throw new ControlRefusal('busy', 'somebody else has changed the number of workers meanwhile');
      const { ready } = this.#supervisor;
      if (ready !== shown) this.#progress({ ready, of: workers });
      shown = ready;
      // One more may serve for a while: a replacement beside the worker that it replaces.
      return ready >= workers && this.#supervisor.workers.every(({ slot }) => slot <= workers);
    });
    return { from, to: workers };
  }

  async #recycle(slot: number): Promise<unknown> {
    this.#requireRunning();
    this.#requireNoRoll();
    const old = this.#workerIn(slot);
    this.#supervisor.recycle(slot);
    this.#progress({ slot, leaves: old.pid });
    try {
      await this.#replaced(old);
    } catch (error) {
      this.#supervisor.forgoRecycle(old);
      throw error;
    }
    return { slot, old_pid: old.pid, new_pid: this.#workerIn(slot).pid };
  }

  /** Resolves when a new worker serves in the slot of `old`, and that one is gone. */
  async #replaced(old: WorkerHandle): Promise<void> {
    const { slot } = old;
    const eachMs = this.#options.bootTimeoutMs + this.#options.drainLimitMs;
    // One that left the slot before may still be on its way out.
    const others = () =>
      this.#supervisor.workers.filter((worker) => worker.slot === slot && worker !== old && !['draining', 'gone'].includes(worker.state));
    // One at a time: all others may be before it.
    await this.#until(`the turn of slot ${slot}`, eachMs * this.#supervisor.target, () => others().length > 0 || old.state !== 'ready');
    await this.#until(`a new worker in slot ${slot}`, eachMs, () => {
      if (others().length === 0 && old.state === 'ready')
        throw new ControlRefusal('aborted', `the replacement did not become ready; the old worker of slot ${slot} serves`, { slot });
      return old.state === 'gone' && others().some(({ state }) => state === 'ready');
    });
  }

  async #drain(slot: number): Promise<unknown> {
    this.#requireRunning();
    this.#requireNoRoll();
    const worker = this.#workerIn(slot);
    this.#supervisor.drain(slot);
    this.#progress({ slot, leaves: worker.pid, in_flight: worker.report?.in_flight ?? null });
    await this.#until(`the end of worker ${worker.pid}`, this.#options.drainLimitMs, () => worker.state === 'gone');
    return { slot, pid: worker.pid, finished: worker.killReason === null };
  }

  #workerIn(slot: number): WorkerHandle {
    const found = this.#supervisor.workers.find((worker) => worker.slot === slot && worker.state === 'ready');
    if (found) return found;
    const slots = this.#supervisor.workers.filter(({ state }) => state === 'ready').map((worker) => worker.slot);
    throw new ControlRefusal('failed', `slot ${slot} holds no ready worker; ready: ${slots.join(', ') || 'none'}`, { argument: 'slot' });
  }

  #requireRunning(): void {
    const { phase } = this.#supervisor;
    if (phase !== 'running') throw new ControlRefusal('busy', `the service is ${phase}`, { phase });
  }

  #requireNoRoll(): void {
    const { id, state, done, total } = this.#supervisor.rollStatus;
    if (state !== 'idle')
      throw new ControlRefusal('busy', `rolling restart ${id} is under way (${done} of ${total})`, { roll: id, replaced: done, of: total });
  }

  #requireNotStopping(what: string): void {
    const { phase } = this.#supervisor;
    if (phase === 'stopping' || phase === 'stopped') throw new ControlRefusal('failed', `the service stops; ${what} ends with it`);
  }

  async #until(what: string, limitMs: number, reached: () => boolean): Promise<void> {
    const until = performance.now() + limitMs + SLACK_MS;
    while (!reached()) {
      this.#requireNotStopping(what);
      if (performance.now() > until) throw new ControlRefusal('failed', `${what}: not within ${Math.round(limitMs / 1000)} s`);
      await delay(LOOK_MS);
    }
  }
}
