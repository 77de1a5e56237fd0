/** K16: the service under PM2, through its own reload. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { counts, criterion, isFull } from '../support/criterion';
import { failures, PacedLoad } from '../support/paced-load';
import { Pm2 } from '../support/pm2';
import { temporaryFolder } from '../support/services';
import { answered, measureLossless } from './under-load';

const RELOADS = 3;
const REQUESTS = 10_000;
/** 4 KB POSTs over connections of which half are kept. */
const LOAD = { path: '/chaos/swallow', bytes: 4_096, clients: 20, perSecond: isFull() ? 200 : 50 };

criterion('K16', 'through PM2: reloads fail no request, a broken one tells', async (measure) => {
  const dataDir = temporaryFolder('k16');
  const pm2 = await Pm2.prepare(
    { script: 'dist/tests/cluster/fixtures/primary.js' },
    { WORKERS: '4', DATA_DIR: dataDir, MAX_REQUESTS: '0', BOOT_TIMEOUT: '90', ROLL_CANARY: '2', RATE_LIMIT_ANON: '1000000/60' },
  );
  const started = await pm2.start();
  const first = await fetch(`${pm2.url}/ready`);
  measure('`pm2 start` exits 0 when the service is ready', `exit ${started.code}, /ready ${first.status}`, started.code === 0 && first.ok);

  const offer = (): PacedLoad => new PacedLoad({ port: Number(new URL(pm2.url).port), ...LOAD });
  const load = offer();
  const codes: (number | null)[] = [];
  for (let reload = 1; reload <= RELOADS; reload += 1) {
    codes.push((await pm2.reload()).code);
    await answered(load, (REQUESTS * reload) / RELOADS);
  }
  const outcomes = await load.stop();
  measureLossless(measure, outcomes, counts(REQUESTS), ` over ${RELOADS} reloads`);
  measure(
    `each reload exits 0`,
    codes.join(', '),
    codes.every((code) => code === 0),
  );

  writeFileSync(join(dataDir, 'broken'), '');
  const meanwhile = offer();
  const broken = await pm2.reload();
  const during = await meanwhile.stop();
  measure('a broken reload exits non-zero', `exit ${broken.code}`, broken.code !== 0 && broken.code !== null);
  measure(
    '0 failed during it: the old workers serve',
    `${failures(during).length} of ${during.length}`,
    failures(during).length === 0 && during.length > 0,
  );

  const stopped = await pm2.command('stop', 'autoshop');
  const [app] = await pm2.list();
  measure('`pm2 stop` ends it with 0', `exit ${app?.pm2_env.exit_code}`, stopped.code === 0 && app?.pm2_env.exit_code === 0);
});
