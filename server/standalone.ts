/**
 * One process of a foreign cluster (PM2's cluster mode): it serves without a primary of ours. Its connection budget is that
 * of one instance; rate limits are counted here alone unless there is Redis; statistics cover this process only. Migrating
 * is the operator's step, since nobody here is first.
 */
import { config } from '../config';
import { log } from '../lib/log';
import { setOpsSource } from '../lib/ops-source';
import { connectToPrimary } from './cluster/link';
import { leaveAlone, runWorker } from './cluster/worker-runtime';
import { createApp } from './http/app';
import { OpsAlone } from './ops/alone';
import { installClusterServices } from './worker';

export async function serveAlone(): Promise<void> {
  const share = { poolMin: config.DB_POOL_MIN, poolMax: config.DB_POOL_MAX, slot: 1, requestLimit: 0 };
  const link = connectToPrimary({ standalone: true, share });
  const { maintenance } = link.facts();
  const ops = new OpsAlone({ share: { min: share.poolMin, max: share.poolMax }, maintenance });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void leaveAlone(link));
  await runWorker({
    createListener: () => createApp(),
    install: async (connected, slot) => {
      await installClusterServices(connected, slot);
      setOpsSource(ops.start());
    },
    link,
  });
  log.info('serving alone inside another cluster', { scope: 'worker' });
  process.send?.('ready');
}
