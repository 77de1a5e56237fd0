/**
 * The Express application: the chain of middlewares in the order in which they guard each other, then the endpoints.
 * Limits on headers, sockets and slow clients belong to the server that listens (the worker), not here.
 */
import express, { type Application, type RequestHandler, Router } from 'express';
import { config } from '../../config';
import { MethodNotAllowed } from '../../lib/errors';
import { endpoints as allEndpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { mountProbes } from '../ops/probes';
import { mountOps } from '../ops/public';
import { DOCS_PATHS, mountDocs } from './docs-page';
import { openContext } from './middleware/context';
import { errorHandler, refuse } from './middleware/errors';
import { rewriteLegacyPaths } from './middleware/legacy-client';
import { observe } from './middleware/observe';
import { shedOverload } from './middleware/overload';
import { crossOrigin } from './middleware/security';
import { type MountOptions, mount } from './mount';
import { staticFiles } from './static';

export interface AppOptions extends MountOptions {
  /** Default: all endpoints of the service. */
  endpoints?: readonly Endpoint[];
  corsOrigins?: readonly string[];
  /** Folder of an application to serve beside the API; default STATIC_DIR. */
  staticDir?: string | undefined;
  /** Mounts further routes before the endpoints: tests that need a route which misbehaves. */
  extend?: (app: Application) => void;
}

const PROBE_PATHS = ['/health', '/health/live', '/healthz', '/api/health', '/ready', '/readyz', '/version'];
const OPS_PATHS = ['/stats', '/metrics'];

/** Behind the handler of GET: whatever comes here has another verb. */
const onlyGet: RequestHandler = (req, res) => refuse(req, res, new MethodNotAllowed('GET, HEAD, OPTIONS'));

/** Probes, operations and documents: open to all, without session, limit or tenant. Other requests pass it by at the cost of one look-up. */
function plainPages(endpoints: readonly Endpoint[]): RequestHandler {
  const router = Router({ caseSensitive: true });
  mountProbes(router);
  mountOps(router);
  mountDocs(router, endpoints);
  router.all([...PROBE_PATHS, ...DOCS_PATHS], onlyGet);
  const paths = new Set([...PROBE_PATHS, ...OPS_PATHS, ...DOCS_PATHS].flatMap((path) => [path, `${path}/`]));
  return (req, res, next) => {
    if (!paths.has(req.path)) {
      next();
      return;
    }
    req.state.isPlain = true;
    router(req, res, next);
  };
}

export function createApp({
  endpoints = allEndpoints,
  corsOrigins,
  staticDir = config.STATIC_DIR,
  extend,
  ...options
}: AppOptions = {}): Application {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('case sensitive routing', true);
  app.set('trust proxy', config.TRUST_PROXY.length > 0 ? config.TRUST_PROXY : false);

  app.use(openContext);
  app.use(crossOrigin(corsOrigins));
  app.use(observe);
  app.use(rewriteLegacyPaths);
  app.use(plainPages(endpoints));
  app.use(shedOverload(endpoints, { servesFiles: staticDir !== undefined }));
  extend?.(app);
  mount(app, endpoints, { fallback: staticDir === undefined ? undefined : staticFiles(staticDir), ...options });
  app.use(errorHandler);
  return app;
}
