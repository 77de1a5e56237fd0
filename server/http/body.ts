/**
 * Reading of request bodies: bounded, UTF-8 JSON (or whatever text an endpoint declares itself liberal about), with the
 * refusals of the contract: 400 `invalid_json`, 413 `payload_too_large`, 415 `unsupported_media_type`. No body is `{}`,
 * because clients post with nothing at all where nothing is to be said.
 */
import { isUtf8 } from 'node:buffer';
import type { Request, Response } from 'express';
import { breadcrumbs } from '../../lib/breadcrumbs';
import { BadRequest, PayloadTooLarge, UnsupportedMediaType } from '../../lib/errors';
import { refuseNul } from './validation';

export const DEFAULT_BODY_LIMIT = 1024 * 1024;
/** How much more of a refused body is read and thrown away so that the client gets to see the answer. */
const DRAIN_LIMIT = 8 * 1024 * 1024;

const NOTHING = Buffer.alloc(0);
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
const TEXT_TYPE = /^text\/plain\s*(?:;|$)/i;
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^\s;"]+)/i;

export interface BodyOptions {
  limit: number;
  /** Take `text/plain` for JSON too: beacons cannot name their type. */
  text: boolean;
  /** Take form-encoded fields too. */
  form?: boolean;
}

export interface Body {
  /** As received, for fingerprints. */
  raw: Buffer;
  value: unknown;
}

/** True when the request announces a body; reading is skipped otherwise. */
export const announcesBody = ({ headers }: Request): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0');

/**
 * @throws PayloadTooLarge, UnsupportedMediaType, BadRequest `invalid_json`
 */
export async function readJson(req: Request, res: Response, { limit, text, form = false }: BodyOptions): Promise<Body> {
  if (!announcesBody(req)) return { raw: NOTHING, value: {} };
  const { 'content-type': type, 'content-encoding': encoding, 'content-length': length } = req.headers;
  if (length !== undefined && Number(length) > limit) {
    drain(req, res);
    throw new PayloadTooLarge();
  }
  const raw = await collect(req, res, limit);
  // Parsing what a client has sent may take long.
  breadcrumbs.resume(req.state.stats.crumb);
  if (raw.length === 0) return { raw, value: {} };
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') throw new UnsupportedMediaType('Content-Encoding is not supported');
  if (form && type !== undefined && FORM_TYPE.test(type)) return { raw, value: parseForm(raw) };
  if (!acceptable(type, text)) throw new UnsupportedMediaType();
  return { raw, value: parse(raw) };
}

function acceptable(type: string | undefined, text: boolean): boolean {
  if (type === undefined) return text;
  if (!JSON_TYPE.test(type) && !(text && TEXT_TYPE.test(type))) return false;
  const charset = CHARSET.exec(type)?.[1]?.toLowerCase();
  return charset === undefined || charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii';
}

function parse(raw: Buffer): unknown {
  if (!isUtf8(raw)) throw invalidJson();
  const text = raw.toString('utf8').replace(/^\uFEFF/, '');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalidJson(cause);
  }
  if (text.includes('\\u0000')) refuseNul(value);
  return value;
}

/** The first of two fields of one name wins. */
function parseForm(raw: Buffer): Record<string, string> {
  if (!isUtf8(raw)) throw new BadRequest('Request body is not valid UTF-8');
  const fields: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const [name, value] of new URLSearchParams(raw.toString('utf8'))) fields[name] ??= value;
  refuseNul(fields);
  return { ...fields };
}

const invalidJson = (cause?: unknown): BadRequest => new BadRequest('Request body is not valid JSON', { code: 'invalid_json', cause });

function collect(req: Request, res: Response, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = () => {
      req.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) {
        chunks.push(chunk);
        return;
      }
      stop();
      drain(req, res);
      reject(new PayloadTooLarge());
    };
    const onEnd = () => {
      stop();
      const [only] = chunks;
      resolve(chunks.length === 1 && only ? only : Buffer.concat(chunks, size));
    };
    const onError = (cause: Error) => {
      stop();
      reject(new BadRequest('Request body ended early', { cause }));
    };
    const onClose = () => onError(new Error('connection closed'));
    req.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

/** Throws the rest away; a client that goes on and on is cut off. */
function drain(req: Request, res: Response): void {
  let size = 0;
  req.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > DRAIN_LIMIT) res.destroy();
  });
  req.on('error', () => res.destroy());
}
