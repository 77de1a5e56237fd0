/**
 * The refusals a caller can meet. One class for each way a caller would act differently; `code` is the stable
 * wire word (snake_case), `status` the HTTP status, `details` what the client may read (field -> reason).
 * Messages are sentences for people and are part of the wire contract where a client tests them.
 */
export type ErrorDetails = Readonly<Record<string, unknown>>;

interface Options {
  code?: string;
  details?: ErrorDetails | undefined;
  /** Extra keys for the root of the error body (`retry_after`, `current_version`, …). */
  root?: ErrorDetails | undefined;
  /** What the body's `data` holds, where the contract asks for it (412: the current resource). */
  data?: unknown;
  headers?: Readonly<Record<string, string>> | undefined;
  cause?: unknown;
}

export abstract class AppError extends Error {
  abstract readonly status: number;
  readonly code: string;
  readonly details: ErrorDetails | undefined;
  readonly root: ErrorDetails | undefined;
  readonly data: unknown;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(defaultCode: string, message: string, { code, details, root, data, headers, cause }: Options = {}) {
    super(message, { cause });
    this.name = new.target.name;
    this.code = code ?? defaultCode;
    this.details = details;
    this.root = root;
    this.data = data ?? null;
    this.headers = headers;
  }
}

/** 400: a parameter or body the caller must change. */
export class BadRequest extends AppError {
  readonly status = 400;
  constructor(message = 'Bad request', options?: Options) {
    super('bad_request', message, options);
  }
}

/** 400 with one reason for each field in `details`. */
export class ValidationFailed extends AppError {
  readonly status = 400;
  constructor(details: ErrorDetails, message = 'Validation failed', options?: Options) {
    super('validation_failed', message, { ...options, details });
  }
}

/** 401: who are you. */
export class Unauthenticated extends AppError {
  readonly status = 401;
  constructor(message = 'Missing or invalid authorization token', options?: Options) {
    super('auth_required', message, { headers: { 'WWW-Authenticate': 'Bearer' }, ...options });
  }
}

/** 403: known, and not allowed. */
export class Forbidden extends AppError {
  readonly status = 403;
  constructor(message = 'Forbidden', options?: Options) {
    super('forbidden', message, options);
  }
}

/** 404: absent, or another tenant's. */
export class NotFound extends AppError {
  readonly status = 404;
  constructor(message = 'Not found', options?: Options) {
    super('not_found', message, options);
  }
}

export class MethodNotAllowed extends AppError {
  readonly status = 405;
  constructor(allow: string) {
    super('method_not_allowed', 'Method not allowed', { headers: { Allow: allow } });
  }
}

/** 409: somebody else's row or a state stands in the way. */
export class Conflict extends AppError {
  readonly status = 409;
  constructor(message = 'Conflict', options?: Options) {
    super('conflict', message, options);
  }
}

/** 400 by the contract: a status change that the state machine does not know. */
export class InvalidTransition extends AppError {
  readonly status = 400;
  constructor(message: string, options?: Options) {
    super('invalid_transition', message, options);
  }
}

/** 412: If-Match names another version. `data` carries the current resource. */
export class PreconditionFailed extends AppError {
  readonly status = 412;
  constructor(data: unknown, etag: string) {
    super('conflict', 'etag_mismatch', { data, headers: { ETag: etag } });
  }
}

export class PayloadTooLarge extends AppError {
  readonly status = 413;
  constructor(message = 'Request body is too large') {
    super('payload_too_large', message);
  }
}

export class UnsupportedMediaType extends AppError {
  readonly status = 415;
  constructor(message = 'Content-Type must be application/json') {
    super('unsupported_media_type', message);
  }
}

/** 422: the idempotency key was used for another body. */
export class IdempotencyKeyReuse extends AppError {
  readonly status = 422;
  constructor() {
    super('idempotency_key_reuse', 'Idempotency-Key was already used with a different request');
  }
}

/** 429 with the seconds to wait. */
export class RateLimited extends AppError {
  readonly status = 429;
  constructor(retryAfterSeconds: number) {
    super('rate_limited', 'Rate limit exceeded', {
      root: { retry_after: retryAfterSeconds },
      headers: { 'Retry-After': String(retryAfterSeconds) },
    });
  }
}

/** 503: try again; nothing was done. */
export class Unavailable extends AppError {
  readonly status = 503;
  /** Why, for logs and metrics; never sent. */
  readonly reason: string;
  constructor(
    reason: string,
    { retryAfter = 1, message = 'Service temporarily unavailable', cause }: { retryAfter?: number; message?: string; cause?: unknown } = {},
  ) {
    super('unavailable', message, { root: { retry_after: retryAfter }, headers: { 'Retry-After': String(retryAfter) }, cause });
    this.reason = reason;
  }
}

/**
 * 500: the connection broke while a change was being stored, and the server did not say whether it was. Nothing in the service
 * repeats it; a caller may repeat it under the same Idempotency-Key, or has to look first.
 */
export class OutcomeUnknown extends AppError {
  readonly status = 500;
  constructor(cause?: unknown) {
    super('outcome_unknown', 'It is not known whether the change was stored. Repeat it with the same Idempotency-Key, or look first.', {
      cause,
    });
  }
}

/** 503: closed on purpose, for a while; only owners get in. */
export class UnderMaintenance extends AppError {
  readonly status = 503;
  constructor(reason: string | null, { retryAfter = 60, cause }: { retryAfter?: number; cause?: unknown } = {}) {
    super('maintenance', reason ?? 'Service is under maintenance', {
      root: { retry_after: retryAfter },
      headers: { 'Retry-After': String(retryAfter) },
      cause,
    });
  }
}
