/**
 * What a successful start prints: one JSON line for machines, and in development a block for the person at the terminal
 * with addresses, demo accounts and what is embedded.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config';

export interface BannerFacts {
  config: Config;
  pids: number[];
  ready: number;
  host: string;
  port: number;
  opsHost: string;
  opsPort: number;
  embedded: string | null;
  bootMs: number;
}

/** The line by which a launcher knows that the service serves. Timeouts are seconds. */
export function bannerLine({ config, pids, ready, host, port, opsHost, opsPort, embedded, bootMs }: BannerFacts): string {
  return JSON.stringify({
    event: 'ready',
    service: 'autoshop',
    version: config.APP_VERSION,
    environment: config.NODE_ENV,
    pid: process.pid,
    workers: config.WORKERS,
    workers_ready: ready,
    bind: `${bracket(host)}:${port}`,
    ops: `${bracket(opsHost)}:${opsPort}`,
    timeout: config.WORKER_TIMEOUT,
    graceful_timeout: config.GRACEFUL_TIMEOUT,
    max_requests: config.MAX_REQUESTS,
    max_requests_jitter: config.MAX_REQUESTS_JITTER,
    pool: { min: config.DB_POOL_MIN, max: config.DB_POOL_MAX },
    pids,
    embedded: embedded === null ? [] : ['postgresql'],
    boot_ms: bootMs,
  });
}

const bracket = (host: string): string => (host.includes(':') ? `[${host}]` : host);

interface DemoAccount {
  role: string;
  username: string;
  password: string;
}

/** The accounts that the demo seed wrote down; none when there is no such file. @throws SyntaxError for one that is damaged */
export function demoAccounts(dataDir: string): DemoAccount[] {
  try {
    return JSON.parse(readFileSync(join(dataDir, 'demo-accounts.json'), 'utf8')) as DemoAccount[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

export function humanBlock({ config, host, port, opsHost, opsPort, embedded }: BannerFacts, accounts: readonly DemoAccount[]): string {
  const reachable = (address: string): string => (/^(0\.0\.0\.0|::)$/.test(address) ? 'localhost' : bracket(address));
  const base = `http://${reachable(host)}:${port}`;
  const lines = [
    '',
    `  API         ${base}/api`,
    `  API docs    ${base}/api/docs`,
    `  Health      ${base}/health`,
    `  Statistics  http://${reachable(opsHost)}:${opsPort}/stats`,
    '',
    `  Embedded    ${embedded ?? 'nothing'}`,
    `  Data        ${config.DATA_DIR}`,
  ];
  if (accounts.length > 0) {
    const width = (key: keyof DemoAccount) => Math.max(...accounts.map((account) => account[key].length));
    lines.push('', '  Demo accounts (role, user name, password)');
    for (const { role, username, password } of accounts)
      lines.push(`    ${role.padEnd(width('role'))}  ${username.padEnd(width('username'))}  ${password}`);
  }
  return `${lines.join('\n')}\n`;
}
