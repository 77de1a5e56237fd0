/**
 * Outgoing texts, through an HTTP API of Twilio's form: form-encoded, account and token by Basic authentication, replies in JSON.
 * Without SMS_API_URL, outside production, each text becomes a file under `DATA_DIR/sms` (0600). Called by jobs only. The same
 * `dedupeKey` goes with every attempt for one message, so that the provider can tell a repetition from a new text.
 *
 * Also the check of what the provider sends us: HMAC-SHA1 over the URL it called and the fields of the body, keyed by the token.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { config } from '../config';
import { log } from './log';
import { ProviderRefusal } from './provider-error';

const TIMEOUT_MS = 20_000;
const ERROR_TEXT_MAX = 200;
/** Refused for now; everything else from 400 to 499 is refused for good. */
const TRY_AGAIN = new Set([408, 425, 429]);

export interface Sms {
  to: string;
  /** Null: the service's own number. */
  from: string | null;
  body: string;
  dedupeKey: string;
  /** Where the provider reports what became of the text. */
  statusCallback: string | null;
}

export interface SentSms {
  /** Null when the text went to a file. */
  providerId: string | null;
}

interface ProviderReply {
  sid?: unknown;
  code?: unknown;
  message?: unknown;
}

/**
 * Hands the text to the provider.
 * @throws ProviderRefusal when it refuses for good, or is not configured in production; Error when trying later may succeed
 */
export async function sendSms(sms: Sms): Promise<SentSms> {
  const { SMS_API_URL: url, SMS_ACCOUNT: account, SMS_TOKEN: token } = config;
  const from = sms.from ?? config.SMS_FROM;
  if (!url) return writeToFile(sms);
  if (!account || !token || !from) throw new ProviderRefusal('sms_not_configured', 'SMS_ACCOUNT, SMS_TOKEN and SMS_FROM must be set');
  const response = await fetch(`${url.replace(/\/+$/, '')}/2010-04-01/Accounts/${encodeURIComponent(account)}/Messages.json`, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from(`${account}:${token}`).toString('base64')}`,
      'I-Twilio-Idempotency-Token': sms.dedupeKey,
    },
    body: new URLSearchParams({
      To: sms.to,
      From: from,
      Body: sms.body,
      ...(sms.statusCallback ? { StatusCallback: sms.statusCallback } : {}),
    }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  const { sid, code, message } = parse(text);
  if (response.ok) {
    if (typeof sid !== 'string' || sid === '') throw new Error('The SMS provider accepted a text without naming it');
    return { providerId: sid };
  }
  const said = `SMS provider answered ${response.status}: ${String(message ?? '').slice(0, ERROR_TEXT_MAX)}`;
  if (response.status >= 500 || TRY_AGAIN.has(response.status)) throw new Error(said);
  throw new ProviderRefusal(String(code ?? response.status), said);
}

/** An answer that is no JSON says nothing but its status. */
function parse(text: string): ProviderReply {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

async function writeToFile({ to, from, body, dedupeKey }: Sms): Promise<SentSms> {
  if (config.isProduction) throw new ProviderRefusal('sms_not_configured', 'SMS_API_URL is not set: texts cannot be sent');
  const folder = resolve(config.DATA_DIR, 'sms');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${dedupeKey}.txt`);
  await writeFile(file, `To: ${to}\nFrom: ${from ?? config.SMS_FROM ?? 'shop'}\n\n${body}\n`, { mode: 0o600 });
  log.info('text written to a file, because SMS_API_URL is not set', { file });
  return { providerId: null };
}

/** The signature of a call: over the address as the provider knows it, then each field and value in the order of the field names. */
export function smsSignature(url: string, fields: Readonly<Record<string, string>>, token: string): string {
  const signed = Object.keys(fields)
    .sort()
    .reduce((text, name) => `${text}${name}${fields[name]}`, url);
  return createHmac('sha1', token).update(signed, 'utf8').digest('base64');
}

/** True when the provider signed this call. Without SMS_TOKEN nothing is believed. */
export function isSignedByProvider(url: string, fields: Readonly<Record<string, string>>, signature: string | undefined): boolean {
  if (!config.SMS_TOKEN || !signature) return false;
  const expected = Buffer.from(smsSignature(url, fields, config.SMS_TOKEN));
  const sent = Buffer.from(signature);
  return expected.length === sent.length && timingSafeEqual(expected, sent);
}
