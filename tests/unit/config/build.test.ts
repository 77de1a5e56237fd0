import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildName } from '../../../config/build';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'build-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const compiled = (record: string): string => {
  writeFileSync(join(folder, '.tsbuildinfo'), record);
  return buildName(folder);
};

test('builds of other sources › other names; the same build › the same name, wherever it runs', () => {
  const first = compiled('{"version":"1"}');
  expect(first).toMatch(/^dev-[0-9a-f]{12}$/);
  expect(compiled('{"version":"2"}')).not.toBe(first);
  expect(compiled('{"version":"1"}')).toBe(first);
});

test('sources run as they are › no build to name', () => {
  expect(buildName(folder)).toBe('dev');
});
