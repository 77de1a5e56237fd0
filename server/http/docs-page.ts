/**
 * The OpenAPI document and a page that shows it to people. The page's script and style are files of this origin, so the
 * ordinary content policy holds; nothing is fetched from elsewhere.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { IRouter } from 'express';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { Endpoint } from '../../routes/endpoint';
import { openApiSteps } from './openapi';
import { compress } from './send';

const FILES = [
  ['/api/docs', 'index.html', 'text/html; charset=utf-8'],
  ['/api/docs/docs.css', 'docs.css', 'text/css; charset=utf-8'],
  ['/api/docs/docs.js', 'docs.js', 'text/javascript; charset=utf-8'],
] as const;

export const DOCS_PATHS: readonly string[] = ['/api/openapi.json', ...FILES.map(([path]) => path)];

export function mountDocs(router: IRouter, endpoints: readonly Endpoint[]): void {
  let document: Promise<string> | undefined;
  router.get('/api/openapi.json', compress, async (_req, res) => {
    // Built when somebody asks: a worker starts without it.
    document ??= buildBetweenRequests(endpoints);
    res.type('application/json').send(await document);
  });
  for (const [path, file, type] of FILES) {
    const text = readFileSync(join(PROJECT_ROOT, 'web', 'docs', file), 'utf8');
    router.get(path, compress, (_req, res) => {
      res.setHeader('Content-Type', type);
      res.send(text);
    });
  }
}

async function buildBetweenRequests(endpoints: readonly Endpoint[]): Promise<string> {
  const steps = openApiSteps(endpoints);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return JSON.stringify(value);
    await setImmediate();
  }
}
