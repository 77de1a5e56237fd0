/**
 * `node scripts/complete-lockfile.mjs [--check]`: enters the optional packages for other platforms that npm left out of
 * package-lock.json. A registry mirror that holds them for one platform only makes `npm install` drop the others without a word,
 * and `npm ci` then refuses the file on every machine. Version and platform are known from the package that wants them; the
 * integrity is not, and npm adds it at the next install from a full registry.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = new URL('../package-lock.json', import.meta.url);
const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
/** `@scope/name-linux-x64-musl`: the platform is the end of the name by a convention that all of these packages keep. */
const PLATFORM =
  /(darwin|linux|win32|android|freebsd|openharmony)-(arm64|x64|arm|ia32|ppc64|riscv64|s390x|loong64)(?:-(gnu|musl|msvc|eabi|gnueabihf|musleabihf))?$/;

const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const missing = {};
const strange = [];

for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const isThere = `node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages;
    // The project's own optional packages, and ranges, are npm's to resolve.
    if (isThere || path === '') continue;
    const [, os, cpu, abi] = PLATFORM.exec(name) ?? [];
    if (!os || !EXACT.test(version)) {
      strange.push(`${name}@${version}`);
      continue;
    }
    missing[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(entry.dev ? { dev: true } : {}),
      ...(abi === 'musl' ? { libc: ['musl'] } : abi === 'gnu' ? { libc: ['glibc'] } : {}),
      optional: true,
      os: [os],
    };
  }
}

const names = Object.keys(missing);
if (strange.length > 0) console.error(`package-lock.json lacks ${strange.join(', ')}, whose platform or version is not clear`);
if (process.argv.includes('--check')) {
  for (const name of names) console.error(`package-lock.json lacks ${name.replace('node_modules/', '')}`);
  process.exitCode = names.length + strange.length > 0 ? 1 : 0;
} else {
  const { '': root, ...packages } = lock.packages;
  const sorted = Object.entries({ ...packages, ...missing }).sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(FILE, `${JSON.stringify({ ...lock, packages: { '': root, ...Object.fromEntries(sorted) } }, null, 2)}\n`);
  console.log(`${names.length} packages entered`);
  process.exitCode = strange.length > 0 ? 1 : 0;
}
