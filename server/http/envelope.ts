/**
 * The one place where bodies are built. Success: `{ok, data, error: null, correlation_id, meta}` and, where the endpoint
 * declares it, keys of `data` repeated at the root. Failure: `{ok: false, data, error, message, correlation_id, meta}`.
 * Data that is JSON text already (built by SQL) is concatenated, never parsed and written again.
 */
import { z } from 'zod';
import type { AppError } from '../../lib/errors';
import { type Endpoint, JsonText } from '../../routes/endpoint';

/** Root keys that belong to the envelope: a payload key of this name stays under `data`. */
export const RESERVED = new Set(['ok', 'data', 'error', 'errors', 'meta', 'message', 'correlation_id']);

/** How the root repeats the payload; decided once for each endpoint. */
export type Mirror =
  | { kind: 'none' }
  /** All keys, and none of them is reserved: the text goes in as it is. */
  | { kind: 'splice' }
  | { kind: 'all' }
  | { kind: 'named'; keys: readonly string[] };

export function mirrorOf({ mirror, reply }: Pick<Endpoint, 'mirror' | 'reply'>): Mirror {
  if (mirror === undefined) return { kind: 'none' };
  if (mirror !== 'all') return { kind: 'named', keys: mirror.filter((key) => !RESERVED.has(key)) };
  const [, schema] = reply;
  const closed =
    schema instanceof z.ZodObject &&
    (schema.def.catchall === undefined || schema.def.catchall instanceof z.ZodNever) &&
    Object.keys(schema.shape).every((key) => !RESERVED.has(key));
  return closed ? { kind: 'splice' } : { kind: 'all' };
}

export interface Success {
  data: unknown;
  mirror: Mirror;
  meta?: Readonly<Record<string, unknown>> | undefined;
  root?: Readonly<Record<string, unknown>> | undefined;
}

/** A success body without the id of its request, which stands between each two of the parts. */
export type BodyParts = readonly [string, string, string];

export function successParts({ data, mirror, meta, root }: Success): BodyParts {
  const text = data instanceof JsonText ? data.text : (JSON.stringify(data ?? null) as string);
  const extraMeta = meta ? members(meta, new Set(['request_id'])) : '';
  return [
    `{"ok":true,"data":${text},"error":null,"correlation_id":"`,
    '","meta":{"request_id":"',
    `"${extraMeta}}${mirror.kind === 'none' ? '' : mirrored(text, data, mirror)}${root ? members(root, RESERVED) : ''}}`,
  ];
}

export const bodyOf = ([head, middle, tail]: BodyParts, requestId: string): string => `${head}${requestId}${middle}${requestId}${tail}`;

/** The text of a success body. */
export const successBody = ({ requestId, ...success }: Success & { requestId: string }): string => bodyOf(successParts(success), requestId);

/** `,"key":value` for each of the mirrored keys. */
function mirrored(text: string, data: unknown, mirror: Mirror): string {
  if (mirror.kind === 'splice') {
    const inner = text.trim();
    return inner.startsWith('{') && inner.length > 2 ? `,${inner.slice(1, -1)}` : '';
  }
  const value: unknown = data instanceof JsonText ? JSON.parse(text) : data;
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return '';
  const payload = value as Record<string, unknown>;
  if (mirror.kind !== 'named') return members(payload, RESERVED);
  return mirror.keys.map((key) => member(key, payload[key])).join('');
}

function members(record: Readonly<Record<string, unknown>>, except: ReadonlySet<string>): string {
  let text = '';
  for (const key of Object.keys(record)) if (!except.has(key)) text += member(key, record[key]);
  return text;
}

function member(key: string, value: unknown): string {
  const text = value instanceof JsonText ? value.text : (JSON.stringify(value) as string | undefined);
  return text === undefined ? '' : `,${JSON.stringify(key)}:${text}`;
}

/** The text of a failure body. Nothing but what the refusal says of itself goes in: no stack, no driver text. */
export function failureBody({ code, message, details, data, root }: AppError, requestId: string): string {
  return JSON.stringify({
    ok: false,
    data: data ?? null,
    error: details === undefined ? { code, message } : { code, message, details },
    message,
    correlation_id: requestId,
    meta: { request_id: requestId },
    ...root,
  });
}
