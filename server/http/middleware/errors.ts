/**
 * Whatever was thrown becomes one enveloped answer. A refusal answers as it says; zod's findings name their fields; driver
 * errors are translated by code and constraint; everything else is a 500 that tells the client nothing and the log all.
 */
import type { ErrorRequestHandler, Request, Response } from 'express';
import { ZodError } from 'zod';
import { withContext } from '../../../lib/context';
import { translateDatabaseError } from '../../../lib/db-errors';
import {
  AppError,
  BadRequest,
  OutcomeUnknown,
  PayloadTooLarge,
  Unavailable,
  UnderMaintenance,
  UnsupportedMediaType,
  ValidationFailed,
} from '../../../lib/errors';
import { log } from '../../../lib/log';
import { failureBody } from '../envelope';
import { opaqueTag } from '../request-state';
import { fieldReasons } from '../validation';

/** 500: our defect. What happened is in the log under the request's id. */
class Internal extends AppError {
  readonly status = 500;
  constructor(cause: unknown) {
    super('internal', 'An unexpected internal server error occurred.', { cause });
  }
}

/** The refusal that answers `error`. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof ZodError) return new ValidationFailed(fieldReasons(error));
  return translateDatabaseError(error) ?? fromHttpError(error) ?? new Internal(error);
}

/** Errors of the router and of middleware carry a status; only "the client's fault" is believed. */
function fromHttpError(error: unknown): AppError | undefined {
  const { status } = error as { status?: unknown };
  if (!(error instanceof Error) || typeof status !== 'number' || status < 400 || status > 499) return undefined;
  if (status === 413) return new PayloadTooLarge();
  if (status === 415) return new UnsupportedMediaType();
  return new BadRequest('Malformed request', { cause: error });
}

/** Answers with `error`; when an answer has begun already, ends the connection, so that nobody takes half of it for the whole. */
export function refuse(req: Request, res: Response, error: unknown): void {
  const refusal = toAppError(error);
  const { state } = req;
  state.code = refusal.code;
  record(req, refusal, error);
  if (res.headersSent) {
    res.destroy();
    return;
  }
  res.statusCode = refusal.status;
  res.setHeader('Cache-Control', 'no-store');
  for (const [name, value] of Object.entries(refusal.headers ?? {})) {
    res.setHeader(name, name === 'ETag' ? `W/"${opaqueTag(value)}"` : value);
  }
  res.setHeader('Content-Type', 'application/json; charset=utf-8');
  const body = failureBody(refusal, state.id);
  res.setHeader('Content-Length', Buffer.byteLength(body));
  res.end(body);
}

/** Reason of the refusals at the door. They come by the thousand and the gate reports them together. */
export const OVERLOADED = 'overloaded';

function record(req: Request, refusal: AppError, error: unknown): void {
  if (refusal.status < 500 || (refusal instanceof Unavailable && refusal.reason === OVERLOADED)) return;
  // Closed on purpose: a line for each caller would drown the rest.
  if (refusal instanceof UnderMaintenance) return;
  const { context, route } = req.state;
  withContext(context, () => {
    if (refusal instanceof OutcomeUnknown) log.warn('outcome unknown', { route, method: req.method, error: refusal.cause });
    else if (refusal instanceof Unavailable) log.warn('unavailable', { route, reason: refusal.reason, error: refusal.cause });
    else log.error('request failed', { route, method: req.method, error });
  });
}

/** For errors that reach Express itself: undecodable paths, faults of middleware. */
export const errorHandler: ErrorRequestHandler = (error, req, res, _next) => refuse(req, res, error);
