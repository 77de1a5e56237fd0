/** K3: a bad release stops at its first worker. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startChaos, stats } from '../cluster/support';
import { AS_SHIPPED } from '../support/cluster';
import { criterion, limit } from '../support/criterion';
import { failureLine, failures } from '../support/paced-load';
import { temporaryFolder } from '../support/services';
import { pidsOf, postLoad, rollOver, Watch } from './under-load';

const BOOT_TIMEOUT = '30';
/** From the signal: what is done before the first worker is forked comes on top. */
const ABORT_S = Number(BOOT_TIMEOUT) + limit(2_000) / 1000;

criterion('K3', 'a broken build is stopped by its first worker', async (measure) => {
  const dataDir = temporaryFolder('canary');
  const service = await startChaos({ env: { ...AS_SHIPPED, DATA_DIR: dataDir, LOG_LEVEL: 'WARN', MAX_REQUESTS: '0', BOOT_TIMEOUT } });
  const before = pidsOf(await stats(service));
  const load = postLoad(service);
  const watch = new Watch(service);
  const faults = [
    ['broken', 'does not load', /this release is broken/],
    ['short-lived', 'dies soon after it was ready', /this release dies young/],
    ['silent', 'never gets ready', /not ready within BOOT_TIMEOUT: loading, and never done/],
  ] as const;
  for (const [index, [fault, what, words]] of faults.entries()) {
    const file = join(dataDir, fault);
    writeFileSync(file, '');
    const from = performance.now();
    service.kill('SIGHUP');
    const last = await rollOver(service, index + 1);
    const seconds = (performance.now() - from) / 1000;
    rmSync(file);
    measure(
      `a build that ${what}: aborted in its words`,
      `${last?.result}: ${last?.reason}`,
      last?.result === 'aborted' && words.test(last.reason ?? ''),
    );
    measure(`… within boot_timeout + ${ABORT_S - Number(BOOT_TIMEOUT)} s`, `${seconds.toFixed(1)} s of ${ABORT_S}`, seconds <= ABORT_S);
  }
  const { leastReady } = await watch.stop();
  const outcomes = await load.stop();
  measure('0 failed requests', failureLine(outcomes), failures(outcomes).length === 0 && outcomes.length > 0);
  measure('never fewer than 4 ready workers', leastReady, leastReady >= 4);
  const after = pidsOf(await stats(service));
  measure('all old workers still serve', String(after), String(after) === String(before));
  await service.stop();
});
