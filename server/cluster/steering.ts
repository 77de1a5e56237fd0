/**
 * How the primary is steered from outside and what it tells its manager: the control socket, the switches that it may turn, and
 * systemd. The primary tells it what happens; it asks the supervisor for everything else.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { config } from '../../config';
import { takeSystemdEnvironment } from '../../config/systemd';
import { overrideLogLevel } from '../../lib/log';
import { clusterState } from '../ops/stats';
import { type Act, ControlServer } from './control';
import { actsOf } from './control-acts';
import { drainLimitMs } from './deadlines';
import type { ProfileRequest } from './profiles';
import { GRACEFUL_MS, IDLE_GRACE_MS } from './stop-times';
import type { Supervisor } from './supervisor';
import { Switches } from './switches';
import { Systemd, statusLine } from './systemd';

export interface SteeringOptions {
  supervisor: Supervisor;
  startedAt: Date;
  /** Tells every child what has changed. */
  broadcast(): void;
  /** Resolves when every child that serves has taken what was broadcast before. */
  settled(): Promise<void>;
  reopenLogs(): void;
  profile(request: ProfileRequest): Promise<{ path: string }>;
  stop(why: string): void;
}

const SECOND_MS = 1_000;

export class Steering {
  readonly switches: Switches;
  readonly #options: SteeringOptions;
  readonly #control: ControlServer;
  readonly #systemd: Systemd | null;
  #stopped: (exitCode: number) => void = () => undefined;
  readonly #exitCode = new Promise<number>((resolve) => {
    this.#stopped = resolve;
  });
  #announced = false;
  #rolling = false;

  constructor(options: SteeringOptions) {
    this.#options = options;
    this.switches = new Switches({ maintenance: config.MAINTENANCE_MODE, onChange: () => this.#onSwitched() });
    const environment = takeSystemdEnvironment();
    this.#systemd = environment && new Systemd({ environment });
    this.#control = new ControlServer(this.#acts());
  }

  /** @throws BootFailure when the place of the socket is taken or unsafe */
  async open(): Promise<void> {
    await this.#control.open(config.CONTROL_SOCKET);
  }

  /** Traffic may come now. */
  ready(): void {
    this.#announced = true;
    this.#systemd?.ready(this.#status());
  }

  /** To be called often: tells the manager what has changed. */
  observe(): void {
    if (!this.#systemd || !this.#announced) return;
    const rolling = this.#options.supervisor.rollStatus.state !== 'idle';
    const status = this.#status();
    if (rolling && !this.#rolling) this.#systemd.reloading(status);
    else if (!rolling && this.#rolling) this.#systemd.ready(status);
    else this.#systemd.status(status);
    this.#rolling = rolling;
  }

  stopping(): void {
    this.#announced = false;
    void this.#systemd?.stopping();
  }

  /** Everything else has ended; whoever asked for it is told, and the socket goes. */
  async close(exitCode: number): Promise<void> {
    this.#systemd?.close();
    this.#stopped(exitCode);
    // The answer to a `stop` is written first.
    await nextTurn();
    await this.#control.close();
  }

  #acts(): Act {
    const { supervisor, startedAt, settled, reopenLogs, profile, stop } = this.#options;
    return actsOf({
      supervisor,
      switches: this.switches,
      version: config.APP_VERSION,
      startedAt,
      now: () => performance.now(),
      settled,
      reopenLogs,
      profile,
      stop: () => {
        stop('control');
        return this.#exitCode;
      },
      bootTimeoutMs: config.BOOT_TIMEOUT * SECOND_MS,
      drainLimitMs: drainLimitMs({ gracefulTimeoutMs: GRACEFUL_MS, idleGraceMs: IDLE_GRACE_MS }),
    });
  }

  #onSwitched(): void {
    overrideLogLevel(this.switches.logLevel);
    this.#options.broadcast();
  }

  #status(): string {
    const supervisor = this.#options.supervisor;
    return statusLine({
      state: clusterState({ supervisor }),
      ready: supervisor.ready,
      target: supervisor.target,
      roll: supervisor.rollStatus,
      maintenance: this.switches.maintenance !== null,
    });
  }
}
