/**
 * Tells systemd how the service is: ready, reloading, stopping, one line of status, and a sign of life. Node opens no datagram
 * sockets of the Unix kind, so `systemd-notify` does it, which is wherever systemd runs; the unit therefore says NotifyAccess=all.
 * Messages leave one after another and never hold up the primary. The sign of life comes from a timer of the primary's own event
 * loop, so a primary that is stuck gives none, and is restarted.
 */
import { spawn } from 'node:child_process';
import { childEnvironment } from '../../config/child-environment';
import type { SystemdEnvironment } from '../../config/systemd';
import { log } from '../../lib/log';

export interface SystemdOptions {
  environment: SystemdEnvironment;
  /** Tests name another one. */
  program?: string;
}

/** The manager takes a message within milliseconds; one that does not is not waited for. */
const SEND_LIMIT_MS = 5_000;
const MICROSECONDS = 1_000n;

export class Systemd {
  readonly #environment: SystemdEnvironment;
  readonly #program: string;
  readonly #alive: NodeJS.Timeout | null;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #status = '';
  #absent = false;

  constructor({ environment, program = 'systemd-notify' }: SystemdOptions) {
    this.#environment = environment;
    this.#program = program;
    // Twice as often as asked for, as the protocol advises.
    this.#alive = environment.watchdogMs === null ? null : setInterval(() => this.#giveSign(), environment.watchdogMs / 2);
  }

  ready(status: string): void {
    void this.#tell('READY=1', ...this.#changed(status));
  }

  reloading(status: string): void {
    void this.#tell('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / MICROSECONDS}`, ...this.#changed(status));
  }

  /** @returns when the manager knows */
  stopping(): Promise<void> {
    return this.#tell('STOPPING=1', ...this.#changed('stopping'));
  }

  /** One line for `systemctl status`; sent when it differs from the last. */
  status(status: string): void {
    const changed = this.#changed(status);
    if (changed.length > 0) void this.#tell(...changed);
  }

  /** No more signs of life: what comes now has its own time limit (TimeoutStopSec). */
  close(): void {
    if (this.#alive) clearInterval(this.#alive);
  }

  #changed(status: string): string[] {
    if (status === this.#status) return [];
    this.#status = status;
    return [`STATUS=${status}`];
  }

  #giveSign(): void {
    // Behind a message that hangs, signs would pile up and then all be sent at once.
    if (this.#waiting === 0) void this.#tell('WATCHDOG=1');
  }

  #tell(...assignments: string[]): Promise<void> {
    this.#waiting += 1;
    this.#queue = this.#queue
      .then(() => this.#send(assignments))
      .finally(() => {
        this.#waiting -= 1;
      });
    return this.#queue;
  }

  #send(assignments: readonly string[]): Promise<void> {
    if (this.#absent) return Promise.resolve();
    return new Promise((resolve) => {
      const child = spawn(this.#program, assignments, {
        env: childEnvironment({ NOTIFY_SOCKET: this.#environment.notifySocket }),
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: SEND_LIMIT_MS,
        killSignal: 'SIGKILL',
      });
      let words = '';
      // Without descriptors to spare there is no pipe; the error follows.
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        words += text;
      });
      child.once('error', (error: NodeJS.ErrnoException) => {
        this.#absent = error.code === 'ENOENT';
        log.warn(
          this.#absent ? 'NOTIFY_SOCKET is set, but systemd-notify is not installed: systemd is told nothing' : 'systemd was not told',
          {
            program: this.#program,
            problem: error.message,
          },
        );
        resolve();
      });
      child.once('close', (code, signal) => {
        if (code !== 0 && !this.#absent) log.warn('systemd was not told', { assignments, code, signal, problem: words.trim() });
        resolve();
      });
    });
  }
}

export interface StatusFacts {
  state: string;
  ready: number;
  target: number;
  roll: { id: number; state: string; done: number; total: number };
  maintenance: boolean;
}

/** Pure: the line that `systemctl status` shows. */
export function statusLine({ state, ready, target, roll, maintenance }: StatusFacts): string {
  return [
    `${ready} of ${target} workers ready`,
    ...(state === 'ready' ? [] : [state.replaceAll('_', ' ')]),
    ...(roll.state === 'idle' ? [] : [`rolling restart ${roll.id}: ${roll.done} of ${roll.total}`]),
    ...(maintenance ? ['maintenance'] : []),
  ].join(', ');
}
