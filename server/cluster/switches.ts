/**
 * What an operator may turn on and off for the whole cluster while it runs: maintenance, and a log level for a while. The primary
 * holds it and tells every child, those that come later included; it is forgotten with the primary, except what the configuration says.
 */
import type { LogLevel, Maintenance } from '../../lib/cluster-ports';

export interface SwitchesOptions {
  /** MAINTENANCE_MODE. */
  maintenance: boolean;
  /** Something is different from now on. */
  onChange(): void;
  now?: () => Date;
}

const MINUTE_MS = 60_000;

export class Switches {
  readonly #onChange: () => void;
  readonly #now: () => Date;
  #maintenance: Maintenance | null;
  #level: { level: LogLevel; until: Date } | null = null;
  #reverting: NodeJS.Timeout | undefined;

  constructor({ maintenance, onChange, now = () => new Date() }: SwitchesOptions) {
    this.#onChange = onChange;
    this.#now = now;
    this.#maintenance = maintenance ? { reason: null, since: now().toISOString() } : null;
  }

  get maintenance(): Maintenance | null {
    return this.#maintenance;
  }

  /** The level that overrides LOG_LEVEL for now. */
  get logLevel(): LogLevel | null {
    return this.#level?.level ?? null;
  }

  get logLevelUntil(): string | null {
    return this.#level?.until.toISOString() ?? null;
  }

  /** A second time, the reason is the new one and the time stays. */
  startMaintenance(reason: string | null): void {
    this.#maintenance = { reason, since: this.#maintenance?.since ?? this.#now().toISOString() };
    this.#onChange();
  }

  endMaintenance(): void {
    this.#maintenance = null;
    this.#onChange();
  }

  setLogLevel(level: LogLevel, minutes: number): void {
    clearTimeout(this.#reverting);
    this.#level = { level, until: new Date(this.#now().getTime() + minutes * MINUTE_MS) };
    this.#reverting = setTimeout(() => this.#revert(), minutes * MINUTE_MS);
    this.#reverting.unref();
    this.#onChange();
  }

  #revert(): void {
    this.#level = null;
    this.#onChange();
  }
}
