/** Load from a process of its own, and what it measured; services for the criteria of the dispatcher. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { LoadPlan, Sample } from '../../load/bench/open-loop';
import { type Running, startChaos } from '../cluster/support';
import { closeLater } from '../support/closers';

/** Four workers. Without the overload gate: what it refuses on a busy machine is no fault of the dispatcher. */
export const startDispatching = (DISPATCH: 'least' | 'rr', env: Record<string, string> = {}): Promise<Running> =>
  startChaos({ env: { DISPATCH, SHED_LAG_MS: '0', WORKERS: '4', MAX_REQUESTS: '0', LOG_LEVEL: 'WARNING', ...env } });

export const ms = (value: number): string => `${Math.round(value)} ms`;

/** Runs a plan of load; resolves with every request that was sent. */
export async function load(plan: LoadPlan): Promise<Sample[]> {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist', 'load', 'bench', 'open-loop.js'), JSON.stringify(plan)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  closeLater(() => {
    child.kill('SIGKILL');
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(Buffer.concat(chunks).toString()) as Sample[];
}

export const withResult = (samples: readonly Sample[], result: Sample['result']): Sample[] =>
  samples.filter((sample) => sample.result === result);

/** The exact quantile of what was measured; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export const p99 = (samples: readonly Sample[]): number =>
  Math.round(
    quantile(
      samples.map((sample) => sample.ms),
      0.99,
    ),
  );
