/** package-lock.json must let `npm ci` work on every machine, whatever registry it was last written with. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../../lib/project-root';

interface Lock {
  packages: Record<
    string,
    { version?: string; resolved?: string; dependencies?: Record<string, string>; devDependencies?: Record<string, string> }
  >;
}

const read = (name: string) => JSON.parse(readFileSync(join(PROJECT_ROOT, name), 'utf8')) as Record<string, unknown>;
const lock = read('package-lock.json') as unknown as Lock;

test('optional packages of other platforms › all are entered, though this machine never installs them', () => {
  expect(() =>
    execFileSync(process.execPath, ['scripts/complete-lockfile.mjs', '--check'], { cwd: PROJECT_ROOT, stdio: 'pipe' }),
  ).not.toThrow();
});

test('entries › name no registry, so the file works with any', () => {
  const bound = Object.entries(lock.packages).filter(([, { resolved }]) => resolved?.startsWith('http'));
  expect(bound.map(([name]) => name)).toEqual([]);
});

test('package.json › wants just what the lock file was written for', () => {
  const manifest = read('package.json');
  for (const part of ['dependencies', 'devDependencies', 'optionalDependencies'])
    expect((lock.packages[''] as Record<string, unknown>)[part]).toEqual(manifest[part]);
});
