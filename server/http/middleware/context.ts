/**
 * First in the chain: gives every request its id, its context and the headers that every answer carries, errors and 304
 * included. A client's own id counts only when it is a UUID, so nothing it sends reaches a log unchecked.
 */

import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';
import { config } from '../../../config';
import { Caller } from '../../../lib/caller';
import { ANONYMOUS, newWorkStats, withContext } from '../../../lib/context';
import { ReadWatch } from '../../../lib/read-watch';
import { UUID } from '../../../schemas/uuid';
import { lifecycle } from '../../lifecycle';
import { clientIp, RequestState } from '../request-state';
import { HSTS, SECURITY_HEADERS } from './security';

export function requestIdOf({ headers }: Pick<Request, 'headers'>): string {
  const sent = headers['x-request-id'] ?? headers['x-correlation-id'];
  return typeof sent === 'string' && UUID.test(sent) ? sent.toLowerCase() : randomUUID();
}

const watches = config.N_PLUS_ONE !== 'off';
const behindProxy = config.TRUST_PROXY.length > 0;

export function openContext(req: Request, res: Response, next: NextFunction): void {
  const requestId = requestIdOf(req);
  const ip = clientIp(req);
  const context = {
    requestId,
    operation: 'http',
    actor: ANONYMOUS,
    tenant: null,
    ip: ip === '' ? null : ip,
    userAgent: req.headers['user-agent'] ?? null,
    caller: new Caller(),
    stats: { ...newWorkStats(lifecycle.crumbOf(res)), ...(watches ? { reads: new ReadWatch(config.N_PLUS_ONE_REPEATS) } : {}) },
  };
  req.state = new RequestState(requestId, context, req.socket.bytesWritten);
  lifecycle.describe(res, { requestId });
  res.once('close', () => {
    if (!res.writableFinished) context.caller.leave();
  });
  for (const [name, value] of SECURITY_HEADERS) res.setHeader(name, value);
  res.setHeader('X-Request-Id', requestId);
  res.setHeader('X-Correlation-Id', requestId);
  if (behindProxy && req.secure) res.setHeader('Strict-Transport-Security', HSTS);
  withContext(context, next);
}
