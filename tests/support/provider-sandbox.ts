/**
 * An SMS provider for tests: it speaks the real protocol, so the real adapter is what is tested. On command it delays, refuses for now
 * or for good, breaks off, reports twice and out of order. Everything is counted before it is deduplicated.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { smsSignature } from '../../lib/sms';
import { closeLater } from './closers';

/** What happens to the next call: `lost` is accepted, but the answer never arrives; `refused` is not accepted, for now. */
export type Fault = { kind: 'refused' | 'lost' | 'broken' } | { kind: 'rejected'; code: number } | { kind: 'slow'; ms: number };

export interface Attempt {
  readonly dedupeKey: string;
  readonly fields: Readonly<Record<string, string>>;
  /** False when it was refused before it was looked at. */
  readonly accepted: boolean;
}

export class ProviderSandbox {
  readonly account = 'AC0000000000000000000000000000test';
  readonly token = 'sandbox-token-of-no-value';
  readonly number = '+15550100000';
  /** Every call, repetitions included. */
  readonly attempts: Attempt[] = [];
  url = '';
  readonly #faults: Fault[] = [];
  readonly #sids = new Map<string, string>();
  readonly #watchers = new Set<() => void>();

  /** Faults of the next calls, in this order; then all goes well. */
  fail(...faults: Fault[]): void {
    this.#faults.push(...faults);
  }

  accepted(dedupeKey?: string): Attempt[] {
    return this.attempts.filter((attempt) => attempt.accepted && (dedupeKey === undefined || attempt.dedupeKey === dedupeKey));
  }

  /** The provider's id of a message. */
  sidOf(dedupeKey: string): string {
    const sid = this.#sids.get(dedupeKey);
    if (!sid) throw new Error(`The sandbox has not accepted ${dedupeKey}`);
    return sid;
  }

  /** Resolves at the first call for which `is` holds. */
  async called(is: () => boolean): Promise<void> {
    if (is()) return;
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (!is()) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
    });
  }

  /** What the provider would send: fields and their signature for `address`. */
  signed(address: string, fields: Record<string, string>): { body: string; signature: string } {
    return { body: new URLSearchParams(fields).toString(), signature: smsSignature(address, fields, this.token) };
  }

  async start(): Promise<this> {
    const server = createServer((req, res) => void this.#answer(req, res));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    closeLater(async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    });
    return this;
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of req) chunks.push(chunk as Buffer);
    const reply = (status: number, body: object): void => {
      res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    };
    const known = `Basic ${Buffer.from(`${this.account}:${this.token}`).toString('base64')}`;
    if (req.url !== `/2010-04-01/Accounts/${this.account}/Messages.json` || req.headers.authorization !== known) {
      reply(401, { code: 20003, message: 'Authenticate' });
      return;
    }
    const fault = this.#faults.shift();
    const isRefused = fault?.kind === 'refused' || fault?.kind === 'rejected' || fault?.kind === 'broken';
    const dedupeKey = String(req.headers['i-twilio-idempotency-token'] ?? '');
    this.attempts.push({
      dedupeKey,
      fields: Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())),
      accepted: !isRefused,
    });
    if (!isRefused && !this.#sids.has(dedupeKey)) this.#sids.set(dedupeKey, `SM${dedupeKey.replaceAll('-', '')}`);
    for (const watcher of [...this.#watchers]) watcher();
    if (fault?.kind === 'slow') await delay(fault.ms, undefined, { ref: false });
    if (fault?.kind === 'lost' || fault?.kind === 'broken') res.destroy();
    else if (fault?.kind === 'refused') reply(503, { code: 20503, message: 'Try again later' });
    else if (fault?.kind === 'rejected') reply(400, { code: fault.code, message: 'Not a valid number' });
    else reply(201, { sid: this.#sids.get(dedupeKey), status: 'queued' });
  }
}
