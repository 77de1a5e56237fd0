/**
 * Checks the import rules of .dependency-cruiser.cjs, and that there was something to check: a parser that silently sees
 * nothing (dependency-cruiser does, with a compiler it does not know) would report no violation at all.
 * Plain JavaScript, because it has to run when the project does not compile.
 *
 *   node scripts/lint-layers.mjs [--root <folder>] [--min <modules>]
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { cruise } from 'dependency-cruiser';
import extractTSConfig from 'dependency-cruiser/config-utl/extract-ts-config';

const FOLDERS = [
  'config',
  'schemas',
  'lib',
  'models',
  'services',
  'presenters',
  'routes',
  'jobs',
  'server',
  'scripts',
  'tests',
  'load/bench',
];
const MINIMUM_MODULES = 50;

const { values } = parseArgs({ options: { root: { type: 'string' }, min: { type: 'string' } } });
const project = dirname(dirname(fileURLToPath(import.meta.url)));
const minimum = Number(values.min ?? MINIMUM_MODULES);

const rules = createRequire(import.meta.url)(join(project, '.dependency-cruiser.cjs'));
process.chdir(resolve(values.root ?? project));

const { output } = await cruise(
  FOLDERS.filter((folder) => existsSync(folder)),
  { ...rules.options, validate: true, ruleSet: { forbidden: rules.forbidden } },
  undefined,
  { tsConfig: extractTSConfig('tsconfig.json') },
);

const own = output.modules.filter(
  ({ source }) => !source.includes('node_modules') && FOLDERS.some((folder) => source.startsWith(`${folder}/`)),
);
const { violations } = output.summary;
for (const { rule, from, to, cycle, via } of violations) {
  const path = (cycle ?? via ?? []).map((step) => step.name ?? step).join(' -> ');
  console.error(`${rule.severity} ${rule.name}: ${from} -> ${to}${path ? `\n  by way of ${path}` : ''}`);
}
if (own.length < minimum) {
  console.error(`lint:layers saw only ${own.length} modules, fewer than ${minimum}: the import graph cannot be trusted`);
  process.exitCode = 1;
}
if (violations.some(({ rule }) => rule.severity === 'error')) process.exitCode = 1;
console.log(`lint:layers: ${own.length} modules, ${violations.length} violations`);
