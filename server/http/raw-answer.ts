/**
 * A refusal for connections that have no request object or no application: what came was not HTTP, came too slowly, or nobody has
 * room for it. The same envelope as every other refusal, and the end of the connection. Free of the application, for the primary.
 */
import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

export interface Refusal {
  status: number;
  code: string;
  message: string;
}

export const NO_ROOM: Refusal = { status: 503, code: 'unavailable', message: 'The service has no room for another connection' };

/** A client that is cut off gets this long to read why. */
const LINGER_MS = 1_000;

export function refusalParts({ status, code, message }: Refusal): { headers: Record<string, string>; body: string } {
  const id = randomUUID();
  const error = { code, message };
  const body = JSON.stringify({ ok: false, data: null, error, message, correlation_id: id, meta: { request_id: id } });
  const headers = {
    Connection: 'close',
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': id,
    ...(status === 503 ? { 'Retry-After': '1' } : {}),
  };
  return { headers, body };
}

/** Answers and ends the connection. What the client still sends is thrown away: closing on unread bytes would reset the answer. */
export function refuseConnection(socket: Socket, refusal: Refusal): void {
  const { headers, body } = refusalParts(refusal);
  const lines = Object.entries({ Date: new Date().toUTCString(), ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${refusal.status} ${STATUS_CODES[refusal.status]}\r\n${lines.join('')}\r\n${body}`);
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
