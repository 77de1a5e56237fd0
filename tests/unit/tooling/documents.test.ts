/** Documents name commands, files and variables; what they name has to exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { environmentSchema, SECRET_VARIABLES } from '../../../config/env';

const PROJECT = join(__dirname, '../../..');
const documents = ['.', 'docs', 'docs/adr', 'docs/operations', 'load'].flatMap((folder) =>
  readdirSync(join(PROJECT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
const { scripts } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
const text = (path: string): string => readFileSync(join(PROJECT, path), 'utf8');

test('documents › there are some, the README first of all', () => {
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'docs/architecture.md', 'docs/config.md']));
});

test.each(documents)('%s › every npm script that it names exists', (path) => {
  const named = [...text(path).matchAll(/npm (?:run )?(?!run )([a-z]+(?::[a-z]+)*)(?![\w:-])/g)].map(([, name]) => name as string);
  const builtIn = ['ci', 'install', 'pkg'];
  expect(named.filter((name) => !builtIn.includes(name) && !(name in scripts))).toEqual([]);
});

test.each(documents)('%s › every file that it links to exists', (path) => {
  const links = [...text(path).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, link]) => link as string);
  expect(links.filter((link) => !existsSync(join(PROJECT, dirname(path), link)))).toEqual([]);
});

test.each(documents)('%s › every variable that it sets is one the service reads', (path) => {
  const known = new Set([...Object.keys(environmentSchema.shape), ...SECRET_VARIABLES.map((name) => `${name}_FILE`)]);
  // Variables of the load tools and of the tests, not of the service.
  for (const name of ['BASE_URL', 'STAFF_LOGIN', 'STAFF_PASSWORD', 'REQUIRE_SERVICES', 'TEST_THROUGH']) known.add(name);
  const set = [...text(path).matchAll(/(?<![\w$])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)=/g)].map(([, name]) => name as string);
  expect(set.filter((name) => !known.has(name))).toEqual([]);
});

test('README › the scripts of package.json that a developer needs are all named somewhere', () => {
  const all = documents.map(text).join('\n');
  const unnamed = Object.keys(scripts).filter((name) => {
    const [area, verb] = name.split(':');
    // A family may be named by its members alone: test:{unit,api,…}, load:{smoke,…}.
    return (
      !all.includes(`npm run ${name}`) &&
      !all.includes(`npm ${name}`) &&
      !(['test', 'load', 'lint'].includes(area ?? '') && all.includes(verb ?? ''))
    );
  });
  expect(unnamed).toEqual([]);
});
