/** @alone The smoke scenario against a real service with the load data: every served row of the traffic profile, without one error. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { startService } from '../support/cluster';
import { createDatabase } from '../support/database';
import { describeWith } from '../support/services';

/** Enough that each row meets each of several workers; a full run has 200 (npm run load:smoke). */
const SAMPLES = 30;
/** The suite shares its machine, so times are held to three times their limits. */
const LIMIT_FACTOR = 3;

function run(script: string, parameters: readonly string[], env: Record<string, string>): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const options = { cwd: PROJECT_ROOT, env: { ...process.env, ...env }, maxBuffer: 16 * 1024 * 1024 };
    execFile(process.execPath, [join(PROJECT_ROOT, script), ...parameters], options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

describeWith('k6', 'load:smoke', () => {
  test('load data, every served row › all samples, no error, each within its own limits', async () => {
    const database = await createDatabase();
    const urls = { DATABASE_URL: database.url, DATABASE_MIGRATION_URL: database.migrationUrl };
    expect(await run('dist/scripts/seed.js', ['--scale', 'load'], urls)).toMatchObject({ code: 0 });

    const service = await startService({ database, env: { ENV_FILE: join(PROJECT_ROOT, 'load', 'service.env'), WORKERS: '2' } });
    const smoke = await run('load/run.mjs', ['smoke'], {
      BASE_URL: service.url,
      SAMPLES: String(SAMPLES),
      LIMIT_FACTOR: String(LIMIT_FACTOR),
    });
    const rows = [...smoke.output.matchAll(/^(?:GET|POST|PUT|DELETE) (\S+) +(\d+) .* (\d+) +(ok|FAILED)$/gm)];
    expect({ code: smoke.code, output: smoke.output }).toMatchObject({ code: 0 });
    expect(rows.length).toBeGreaterThanOrEqual(27);
    for (const [line, , samples, errors, verdict] of rows) {
      expect([line, Number(samples) >= SAMPLES, errors, verdict]).toEqual([line, true, '0', 'ok']);
    }
  }, 300_000);
});
