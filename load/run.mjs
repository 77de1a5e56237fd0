/**
 * Runs a k6 scenario against a running service: node load/run.mjs <scenario> [k6 options]
 * BASE_URL (default http://127.0.0.1:3001), SAMPLES, VUS, DURATION, THINK_SECONDS, STAFF_LOGIN and STAFF_PASSWORD go to the scenario.
 * Exits as k6 does: 99 when a threshold was crossed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

process.chdir(join(import.meta.dirname, '..'));
const [name = 'smoke', ...rest] = process.argv.slice(2);
const script = `load/scenarios/${name}.js`;
const baseUrl = process.env.BASE_URL ?? 'http://127.0.0.1:3001';

function stop(message, code) {
  console.error(message);
  process.exit(code);
}

if (!existsSync(script)) stop(`no scenario ${name}`, 64);
if (spawnSync('k6', ['version']).error) stop('k6 is not installed: go install go.k6.io/k6@v1.8.1', 69);
await fetch(`${baseUrl}/health`).catch(() => stop(`no service at ${baseUrl}: start one with ENV_FILE=load/service.env npm start`, 69));

mkdirSync('load/results', { recursive: true });
const { status, signal } = spawnSync('k6', ['run', '--quiet', '--no-usage-report', ...rest, script], {
  stdio: 'inherit',
  env: { ...process.env, BASE_URL: baseUrl },
});
process.exit(signal ? 1 : (status ?? 1));
