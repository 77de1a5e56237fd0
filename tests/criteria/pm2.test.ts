/** K16: the service under PM2, through its own reload. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Load, tally } from '../cluster/support';
import { counts, criterion } from '../support/criterion';
import { Pm2 } from '../support/pm2';
import { temporaryFolder } from '../support/services';

const RELOADS = 3;
const REQUESTS = 10_000;
const CLIENTS = 20;
const BODY = Buffer.alloc(4_096, 'x');

criterion('K16', 'through PM2: reloads fail no request, a broken one tells', async (measure) => {
  const dataDir = temporaryFolder('k16');
  const pm2 = await Pm2.prepare(
    { script: 'dist/tests/cluster/fixtures/primary.js' },
    { WORKERS: '4', DATA_DIR: dataDir, MAX_REQUESTS: '0', BOOT_TIMEOUT: '90', ROLL_CANARY: '2', RATE_LIMIT_ANON: '1000000/60' },
  );
  const started = await pm2.start();
  const first = await fetch(`${pm2.url}/ready`);
  measure('`pm2 start` exits 0 when the service is ready', `exit ${started.code}, /ready ${first.status}`, started.code === 0 && first.ok);

  const outcomes: Record<string, number> = {};
  const codes: (number | null)[] = [];
  for (let reload = 1; reload <= RELOADS; reload += 1) {
    const load = new Load(pm2.url, { clients: CLIENTS, request: () => ({ path: '/chaos/echo', method: 'POST', body: BODY }) });
    codes.push((await pm2.reload()).code);
    // A fast machine reloads before its share of the requests is sent.
    await load.until((counts(REQUESTS) * reload) / RELOADS - total(outcomes));
    for (const [result, count] of Object.entries(tally(await load.stop()))) outcomes[result] = (outcomes[result] ?? 0) + count;
  }
  const failed = total(outcomes) - (outcomes[200] ?? 0);
  measure(
    `0 failed of >= ${counts(REQUESTS)} over ${RELOADS} reloads`,
    `${failed} of ${total(outcomes)}`,
    failed === 0 && total(outcomes) >= counts(REQUESTS),
  );
  measure(
    `each reload exits 0`,
    codes.join(', '),
    codes.every((code) => code === 0),
  );

  writeFileSync(join(dataDir, 'broken'), '');
  const load = new Load(pm2.url, { clients: CLIENTS, request: () => ({ path: '/chaos/echo', method: 'POST', body: BODY }) });
  const broken = await pm2.reload();
  const during = tally(await load.stop());
  measure('a broken reload exits non-zero', `exit ${broken.code}`, broken.code !== 0 && broken.code !== null);
  const lost = total(during) - (during[200] ?? 0);
  measure('0 failed during it: the old workers serve', `${lost} of ${total(during)}`, lost === 0 && total(during) > 0);

  const stopped = await pm2.command('stop', 'autoshop');
  const [app] = await pm2.list();
  measure('`pm2 stop` ends it with 0', `exit ${app?.pm2_env.exit_code}`, stopped.code === 0 && app?.pm2_env.exit_code === 0);
});

const total = (outcomes: Readonly<Record<string, number>>): number => Object.values(outcomes).reduce((sum, count) => sum + count, 0);
