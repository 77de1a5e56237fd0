/** Runs of jest on one test database, added up: what `npm test` and `npm run test:cluster` have in common. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/project-root';
import { startTestCluster } from '../tests/support/test-cluster';

interface Report {
  passed: number;
  failed: number;
  skipped: number;
  missing: Record<string, number>;
  /** One text for each failed test: its file, its name, the message. */
  failures: string[];
}

export interface JestRun {
  name: string;
  args: string[];
  environment?: Record<string, string>;
  /** `args` are all there is: those of this process are for somebody else. */
  isWhole?: boolean;
}

const EXIT_INTERRUPTED = 130;

let current: ChildProcess | undefined;
let interrupted = false;

/**
 * Starts the test database, runs one jest after another, and ends it. The last line is `N passed, N failed, N skipped`; with
 * REQUIRE_SERVICES=1 a skipped test is a failure.
 * @param conclude called before the summary; returns false to fail the run for a reason of its own
 * @param withServer false for tests that need no database server
 * @returns the exit code
 */
export async function runAll(
  runs: readonly JestRun[],
  { conclude = () => true, withServer = true }: { conclude?: () => boolean; withServer?: boolean } = {},
): Promise<number> {
  listenForSignals();
  const started = performance.now();
  const { stop, ...cluster } = withServer ? await startTestCluster() : withoutServer();
  console.log(`Test database: ${cluster.description}`);
  const reports: Report[] = [];
  try {
    for (const run of runs) {
      if (interrupted) break;
      reports.push(
        await runJest(
          run,
          { ...process.env, NODE_ENV: 'test', ...(withServer ? { TEST_CLUSTER: JSON.stringify(cluster) } : {}) },
          cluster.folder,
        ),
      );
    }
  } finally {
    await stop();
  }
  const concluded = conclude();
  const code = summarise(reports, (performance.now() - started) / 1000);
  return code === 0 && !concluded ? 1 : code;
}

/** A folder for the report, and no server. */
function withoutServer(): { folder: string; description: string; stop(): Promise<void> } {
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-test-'));
  return { folder, description: 'no server', stop: () => rm(folder, { recursive: true, force: true }) };
}

/** @returns what the run counted; a run that ended without a report counts as one failure */
async function runJest(
  { name, args, environment = {}, isWhole = false }: JestRun,
  base: NodeJS.ProcessEnv,
  folder: string,
): Promise<Report> {
  const reportFile = join(folder, `${name}.json`);
  const jest = join(PROJECT_ROOT, 'node_modules', 'jest', 'bin', 'jest.js');
  current = spawn(process.execPath, [jest, ...args, '--passWithNoTests', ...(isWhole ? [] : process.argv.slice(2))], {
    cwd: PROJECT_ROOT,
    stdio: 'inherit',
    env: { ...base, ...environment, TEST_REPORT: reportFile },
  });
  const [code] = (await once(current, 'exit')) as [number | null];
  current = undefined;
  const report: Report = existsSync(reportFile)
    ? (JSON.parse(readFileSync(reportFile, 'utf8')) as Report)
    : { passed: 0, failed: code === 0 ? 0 : 1, skipped: 0, missing: {}, failures: [] };
  // Jest also fails for what is no test: a broken configuration, a global setup.
  if (code !== 0 && report.failed === 0) report.failed = 1;
  if (report.failed > 0 && report.failures.length === 0)
    report.failures = [`${name}: ended with ${code ?? 'a signal'} and without a failed test`];
  return report;
}

function summarise(reports: Report[], seconds: number): number {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const missing = new Map<string, number>();
  for (const report of reports) {
    total.passed += report.passed;
    total.failed += report.failed;
    total.skipped += report.skipped;
    for (const [service, count] of Object.entries(report.missing)) missing.set(service, (missing.get(service) ?? 0) + count);
  }
  for (const [service, count] of missing) console.log(`Skipped for want of ${service}: ${count} tests (install it, or see README)`);
  const refused = process.env['REQUIRE_SERVICES'] === '1' && total.skipped > 0;
  if (refused) console.log('REQUIRE_SERVICES=1: nothing may be skipped');
  // Printed once more at the end, where whoever reads the log of a run looks first.
  for (const failure of reports.flatMap(({ failures }) => failures)) console.log(`Failed test: ${failure.replaceAll('\n', '\n  | ')}`);
  if (total.passed === 0) console.log('No test ran');
  console.log(`Took ${Math.round(seconds)} s`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (interrupted) return EXIT_INTERRUPTED;
  return total.failed > 0 || refused || total.passed === 0 ? 1 : 0;
}

/** Ctrl-C reaches jest as well, which ends by itself; this process stays to stop the database. A TERM comes to us alone. */
function listenForSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      interrupted = true;
      if (signal === 'SIGTERM') current?.kill(signal);
    });
  }
}

/** Ends a script with the code that `run` comes to. */
export function exitWith(run: Promise<number>): void {
  run.then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      console.error(error);
      process.exitCode = 1;
    },
  );
}
