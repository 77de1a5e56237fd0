/** The import rules are only worth something if they fire: each planted violation must be named, and a clean tree must pass. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const PROJECT = join(__dirname, '../../..');
const CLEAN: Record<string, string> = {
  'tsconfig.json': JSON.stringify({ compilerOptions: { module: 'node16', moduleResolution: 'node16', strict: true } }),
  'package.json': JSON.stringify({
    name: 'planted',
    dependencies: { express: '*', sequelize: '*', zod: '*' },
    devDependencies: { jest: '*' },
  }),
  'config/index.ts': 'export const config = 1;',
  'schemas/a.schema.ts': "import { z } from 'zod';\nexport const A = z.string();",
  'lib/a.ts': "import { config } from '../config';\nexport const a = config;",
  'models/a.model.ts': "import { Model } from 'sequelize';\nimport { a } from '../lib/a';\nexport class A extends Model { a = a; }",
  'services/a.service.ts': "import { A } from '../models/a.model';\nexport const find = () => A;",
  'presenters/a.presenter.ts': "import type { A } from '../models/a.model';\nexport const present = (a: A) => a;",
  'routes/index.ts':
    "import { present } from '../presenters/a.presenter';\nimport { find } from '../services/a.service';\nexport const routes = [find, present];",
  'jobs/a.jobs.ts': "import { find } from '../services/a.service';\nexport const job = find;",
  'server/http/app.ts': "import express from 'express';\nimport { routes } from '../../routes';\nexport const app = [express, routes];",
  'server/cluster/slots.ts': "import { a } from '../../lib/a';\nexport const slots = a;",
  'server/cluster/primary.ts': "import { slots } from './slots';\nexport const primary = slots;",
};

/** Cruises the clean tree with `extra` files on top; returns what the linter said. */
function lint(extra: Record<string, string>, minimum = 5): { status: number | null; text: string } {
  const root = mkdtempSync(join(tmpdir(), 'layers-'));
  try {
    for (const [path, source] of Object.entries({ ...CLEAN, ...extra })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), source);
    }
    symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
    const linter = join(PROJECT, 'scripts/lint-layers.mjs');
    const run = spawnSync(process.execPath, [linter, '--root', root, '--min', String(minimum)], { encoding: 'utf8' });
    return { status: run.status, text: run.stdout + run.stderr };
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe('lint:layers', () => {
  test('a tree that keeps the direction passes', () => {
    expect(lint({})).toEqual({ status: 0, text: expect.stringContaining('11 modules, 0 violations') as string });
  }, 30_000);

  test('every planted violation is reported by its own rule', () => {
    const planted: Record<string, [path: string, source: string]> = {
      'schemas-layer': ['schemas/b.schema.ts', "import '../lib/a';"],
      'lib-layer': ['lib/b.ts', "import '../models/a.model';"],
      'models-layer': ['models/b.model.ts', "import '../services/a.service';"],
      'presenters-layer': ['presenters/b.presenter.ts', "import '../services/a.service';"],
      'services-layer': ['services/b.service.ts', "import type { routes } from '../routes';\nexport type B = typeof routes;"],
      'routes-layer': ['routes/b.routes.ts', "import '../models/a.model';"],
      'jobs-layer': ['jobs/b.jobs.ts', "import '../routes';"],
      'nobody-imports-server': ['jobs/c.jobs.ts', "import '../server/cluster/slots';"],
      'production-stands-alone': ['server/b.ts', "import '../tests/support/x';"],
      'express-in-server-only': ['routes/c.routes.ts', "import type { Request } from 'express';\nexport type R = Request;"],
      'sequelize-below-services': ['server/c.ts', "import { Model } from 'sequelize';\nexport const c = Model;"],
      'light-primary': ['server/cluster/slots.ts', "import { find } from '../../services/a.service';\nexport const slots = find;"],
      'models-do-not-import-models': ['models/c.model.ts', "import { A } from './a.model';\nexport class C extends A {}"],
      'no-cycles': ['lib/d.ts', "import { e } from './e';\nexport const d = () => e;"],
      'no-development-packages': ['server/d.ts', "import 'jest';"],
      resolvable: ['lib/f.ts', "import './nowhere';"],
    };
    const extra = {
      'tests/support/x.ts': 'export const x = 1;',
      'lib/e.ts': "import { d } from './d';\nexport const e = () => d;",
      ...Object.fromEntries(Object.values(planted)),
    };
    const { status, text } = lint(extra);
    expect(status).toBe(1);
    for (const [rule, [path]] of Object.entries(planted)) {
      // The light primary is found from the primary, whichever file on the way broke it.
      const from = rule === 'light-primary' ? 'server/cluster/primary.ts' : path;
      expect(text).toMatch(new RegExp(`error ${rule}: (${from.replaceAll('.', '\\.')}|lib/[de]\\.ts) -> `));
    }
  }, 30_000);

  test('type-only links in a circle are allowed', () => {
    const { status } = lint({
      'lib/g.ts': "import type { H } from './h';\nexport type G = H | 1;",
      'lib/h.ts': "import type { G } from './g';\nexport type H = G[];",
    });
    expect(status).toBe(0);
  }, 30_000);

  test('a graph too small to be true is a failure', () => {
    expect(lint({}, 50)).toEqual({ status: 1, text: expect.stringContaining('saw only 11 modules, fewer than 50') as string });
  }, 30_000);
});
