/**
 * The connection budget: DB_POOL_MAX is all connections of this instance. It is divided over the worker slots, the job
 * process (2) and one surge share, which a replacement uses while the worker it replaces still holds its own. What is
 * granted at any moment never exceeds the budget: a share returns when its process is gone, not when it is told to go.
 */
export const JOB_CONNECTIONS = 2;
export const LEAST_SHARE = 2;

export interface Share {
  readonly min: number;
  readonly max: number;
}

export interface Division {
  readonly limit: number;
  /** Index 0 is slot 1. */
  readonly slots: readonly Share[];
  readonly surge: Share;
  readonly jobs: Share | null;
}

export interface BudgetRequest {
  poolMin: number;
  poolMax: number;
  workers: number;
  jobs: boolean;
}

/**
 * Equal shares; what is left over goes to the first slots, as long as the surge share can grow with them.
 * @throws RangeError, with the arithmetic, when a slot would get fewer than two connections.
 */
export function divideBudget({ poolMin, poolMax, workers, jobs }: BudgetRequest): Division {
  const jobShare = jobs ? JOB_CONNECTIONS : 0;
  const available = poolMax - jobShare;
  const base = Math.floor(available / (workers + 1));
  if (base < LEAST_SHARE) {
    const needed = LEAST_SHARE * (workers + 1) + jobShare;
    throw new RangeError(
      `${workers} workers x ${LEAST_SHARE} + ${LEAST_SHARE} for a replacement + ${jobShare} for jobs = ${needed} connections, but DB_POOL_MAX is ${poolMax}`,
    );
  }
  const left = available - base * (workers + 1);
  // A slot with one more needs a surge share with one more, so the first extra connection goes to the surge.
  const larger = Math.max(0, left - 1);
  const surgeMax = larger > 0 ? base + 1 : base;
  const slots = Array.from({ length: workers }, (_, index) => {
    const max = index < larger ? base + 1 : base;
    const min = Math.floor(poolMin / workers) + (index < poolMin % workers ? 1 : 0);
    return { min: Math.min(max, Math.max(1, min)), max };
  });
  return {
    limit: poolMax,
    slots,
    surge: { min: 1, max: surgeMax },
    jobs: jobs ? { min: 1, max: JOB_CONNECTIONS } : null,
  };
}

/** Who holds how much of the budget. Refuses what would exceed it; the caller asks again when somebody has gone. */
export class Ledger {
  readonly limit: number;
  readonly #grants = new Map<string, Share>();
  #changes = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  get granted(): number {
    let sum = 0;
    for (const { max } of this.#grants.values()) sum += max;
    return sum;
  }

  get changes(): number {
    return this.#changes;
  }

  grantOf(holder: string): Share | null {
    return this.#grants.get(holder) ?? null;
  }

  /** True when `share` was granted to `holder`; a holder is granted once. */
  grant(holder: string, share: Share): boolean {
    if (this.#grants.has(holder)) throw new Error(`${holder} already holds a share`);
    if (this.granted + share.max > this.limit) return false;
    this.#grants.set(holder, share);
    this.#changes += 1;
    return true;
  }

  /** Changes a share that is held. False when growing would exceed the limit, or when `holder` holds nothing. */
  resize(holder: string, share: Share): boolean {
    const held = this.#grants.get(holder);
    if (!held || this.granted - held.max + share.max > this.limit) return false;
    this.#grants.set(holder, share);
    this.#changes += 1;
    return true;
  }

  /** Returns the share of a process that is gone. */
  release(holder: string): void {
    if (this.#grants.delete(holder)) this.#changes += 1;
  }
}
