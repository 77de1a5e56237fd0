/**
 * Writes docs/openapi.json, the document that the service answers at /api/openapi.json, so that a change of the contract shows in review.
 *   npm run docs:openapi              writes it
 *   npm run docs:openapi -- --check   fails when the file differs from what would be written
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../lib/project-root';
import { buildOpenApi } from '../server/http/openapi';
import { publish } from './docs-file';

const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8')) as { version: string };
const { info, ...document } = buildOpenApi();
// A running service names its build; the file must not change with APP_VERSION.
const content = { openapi: document['openapi'], info: { ...(info as object), version }, ...document };

publish('docs/openapi.json', `${JSON.stringify(content, null, 1)}\n`, 'docs:openapi');
