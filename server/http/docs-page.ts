/**
 * The OpenAPI document and a page that shows it to people. The page's script and style are files of this origin, so the
 * ordinary content policy holds; nothing is fetched from elsewhere.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Application } from 'express';
import { PROJECT_ROOT } from '../../lib/project-root';
import type { Endpoint } from '../../routes/endpoint';
import { buildOpenApi } from './openapi';
import { compress } from './send';

const FILES = [
  ['/api/docs', 'index.html', 'text/html; charset=utf-8'],
  ['/api/docs/docs.css', 'docs.css', 'text/css; charset=utf-8'],
  ['/api/docs/docs.js', 'docs.js', 'text/javascript; charset=utf-8'],
] as const;

export const DOCS_PATHS: readonly string[] = ['/api/openapi.json', ...FILES.map(([path]) => path)];

export function mountDocs(app: Application, endpoints: readonly Endpoint[]): void {
  app.use([...DOCS_PATHS], compress);
  let document: string | undefined;
  app.get('/api/openapi.json', (_req, res) => {
    // Built when somebody asks: a worker starts without it.
    document ??= JSON.stringify(buildOpenApi(endpoints));
    res.type('application/json').send(document);
  });
  for (const [path, file, type] of FILES) {
    const text = readFileSync(join(PROJECT_ROOT, 'web', 'docs', file), 'utf8');
    app.get(path, (_req, res) => {
      res.setHeader('Content-Type', type);
      res.send(text);
    });
  }
}
