/**
 * `/stats` and `/metrics` on the public port. The documents are the primary's, of the whole cluster, whichever worker took
 * the request; a worker that gets no answer from the primary within a second says so instead of showing its own numbers.
 */
import type { IRouter, NextFunction, Request, Response } from 'express';
import { config } from '../../config';
import { Unavailable } from '../../lib/errors';
import { opsSource } from '../../lib/ops-source';
import { mayReadOps } from './access';
import { windowSeconds } from './window-parameter';

export { setOpsSource } from '../../lib/ops-source';

const answer = (what: 'stats' | 'metrics') => async (request: Request, response: Response, next: NextFunction) => {
  const access = { token: config.OPS_TOKEN, environment: config.NODE_ENV };
  const source = opsSource();
  if (!source || !mayReadOps(access, request.get('authorization'), request.socket.remoteAddress)) {
    next(); // to the ordinary 404, so that the path cannot be told from one that does not exist
    return;
  }
  const openMetrics = (request.get('accept') ?? '').includes('application/openmetrics-text');
  const document = await source
    .get(what, { windowSeconds: windowSeconds(request.query['window']), openMetrics })
    .catch((error: unknown) => {
      throw new Unavailable('primary', { cause: error });
    });
  response.status(document.status).set('Content-Type', document.contentType).set('Cache-Control', 'no-store').send(document.body);
};

/** Mounts both paths; call it before authentication. */
export function mountOps(app: IRouter): void {
  app.get('/stats', answer('stats'));
  app.get('/metrics', answer('metrics'));
}
