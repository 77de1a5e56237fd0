/**
 * Holds what the instances may open together against what the server says it allows. The start compares with DB_MAX_CONNECTIONS,
 * before anybody has asked the server; a server that allows fewer would refuse connections under load, so it is named at once.
 * Behind a pooler the server's number is not what limits the instances: hence a warning, not a refusal.
 */
import type { Config } from '../../config';
import { log } from '../../lib/log';

type Arithmetic = Pick<Config, 'INSTANCES' | 'DB_POOL_MAX' | 'DB_RESERVE'>;

/** Connections that the instances may ask for beyond what `serverMax` and the reserve leave; 0 when they fit. */
export function missingConnections({ INSTANCES, DB_POOL_MAX, DB_RESERVE }: Arithmetic, serverMax: number): number {
  return Math.max(0, INSTANCES * DB_POOL_MAX + DB_RESERVE - serverMax);
}

/** Says it once for each limit that the server reports. */
export class ServerLimit {
  readonly #arithmetic: Arithmetic;
  #seen: number | null = null;

  constructor(arithmetic: Arithmetic) {
    this.#arithmetic = arithmetic;
  }

  observe(serverMax: number | null): void {
    if (serverMax === null || serverMax === this.#seen) return;
    this.#seen = serverMax;
    const missing = missingConnections(this.#arithmetic, serverMax);
    if (missing === 0) return;
    const { INSTANCES, DB_POOL_MAX, DB_RESERVE } = this.#arithmetic;
    log.warn('the database server allows fewer connections than the instances may open', {
      server_max: serverMax,
      instances: INSTANCES,
      pool_max: DB_POOL_MAX,
      reserve: DB_RESERVE,
      missing,
    });
  }
}
