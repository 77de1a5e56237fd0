/**
 * A mail server for tests: the SMTP that a client needs, over a real socket, so the real adapter is what is tested. On command it
 * delays, answers 4xx and 5xx, falls silent or breaks off, at any step. Mails are counted before they are deduplicated.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { closeLater } from './closers';

/** The server's turns, in order. `body` is its answer to the whole mail. */
export const SMTP_STEPS = ['greeting', 'ehlo', 'mail', 'rcpt', 'data', 'body'] as const;
export type SmtpStep = (typeof SMTP_STEPS)[number];

/**
 * What happens to one connection at one step, instead of the usual answer: `reply` says something else, `drop` breaks off (after the
 * body: the mail is taken, but nobody hears of it), `silent` says nothing more, `slow` answers later, `trickle` never ends its answer.
 */
export type SmtpFault = { step: SmtpStep } & (
  | { kind: 'reply'; line: string }
  | { kind: 'drop' | 'silent' }
  | { kind: 'slow' | 'trickle'; ms: number }
);

export interface ReceivedMail {
  readonly messageId: string;
  readonly to: string;
  readonly text: string;
  /** False when it was refused after it had been read. */
  readonly accepted: boolean;
}

const USUAL: Readonly<Record<SmtpStep, string>> = {
  greeting: '220 sandbox',
  ehlo: '250 sandbox',
  mail: '250 sender ok',
  rcpt: '250 recipient ok',
  data: '354 go on',
  body: '250 taken',
};

export class SmtpSandbox {
  /** Every mail that was sent to its end, repetitions included. */
  readonly mails: ReceivedMail[] = [];
  /** Every connection, those that came to nothing included. */
  connections = 0;
  url = '';
  readonly #faults: SmtpFault[] = [];
  readonly #open = new Set<Socket>();

  /** Faults of the next connections, one for each, in this order; then all goes well. */
  fail(...faults: SmtpFault[]): void {
    this.#faults.push(...faults);
  }

  accepted(to: string): ReceivedMail[] {
    return this.mails.filter((mail) => mail.accepted && mail.to === to);
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#open.size;
  }

  async start(): Promise<this> {
    const server = createServer((socket) => {
      this.connections += 1;
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      new Conversation(socket, this.#faults.shift(), (mail) => this.mails.push(mail)).begin();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    closeLater(async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of this.#open) socket.destroy();
      await closed;
    });
    return this;
  }
}

/** One connection, from greeting to farewell. */
class Conversation {
  readonly #socket: Socket;
  readonly #fault: SmtpFault | undefined;
  readonly #received: (mail: ReceivedMail) => void;
  #rest = '';
  #body: string[] | null = null;
  #to = '';
  #isSilent = false;

  constructor(socket: Socket, fault: SmtpFault | undefined, received: (mail: ReceivedMail) => void) {
    this.#socket = socket;
    this.#fault = fault;
    this.#received = received;
  }

  begin(): void {
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\r\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) if (!this.#isSilent) this.#hear(line);
    });
    void this.#answer('greeting');
  }

  #hear(line: string): void {
    if (this.#body !== null) {
      // A leading dot is doubled on the way.
      if (line !== '.') this.#body.push(line.startsWith('.') ? line.slice(1) : line);
      else void this.#answer('body');
    } else if (/^(EHLO|HELO)/i.test(line)) void this.#answer('ehlo');
    else if (/^MAIL/i.test(line)) void this.#answer('mail');
    else if (/^RCPT/i.test(line)) {
      this.#to = /<([^>]*)>/.exec(line)?.[1] ?? '';
      void this.#answer('rcpt');
    } else if (/^DATA/i.test(line)) void this.#answer('data');
    else if (/^QUIT/i.test(line)) this.#socket.end('221 bye\r\n');
    else this.#say('500 unknown');
  }

  async #answer(step: SmtpStep): Promise<void> {
    const fault = this.#fault?.step === step ? this.#fault : undefined;
    const isRefused = fault?.kind === 'reply' && /^[45]/.test(fault.line);
    if (step === 'body') this.#take(!isRefused);
    if (step === 'data' && !isRefused) this.#body = [];
    if (fault?.kind === 'drop') this.#socket.destroy();
    else if (fault?.kind === 'silent') this.#isSilent = true;
    else if (fault?.kind === 'trickle') await this.#trickle(step, fault.ms);
    else {
      if (fault?.kind === 'slow') await delay(fault.ms);
      this.#say(fault?.kind === 'reply' ? fault.line : USUAL[step]);
    }
  }

  /** Line after line of an answer whose last never comes. */
  async #trickle(step: SmtpStep, ms: number): Promise<void> {
    this.#isSilent = true;
    while (this.#socket.writable) {
      this.#say(`${USUAL[step].slice(0, 3)}-still here`);
      await delay(ms);
    }
  }

  #take(accepted: boolean): void {
    const text = (this.#body ?? []).join('\n');
    this.#body = null;
    this.#received({ messageId: /^Message-ID: *<([^>]+)>/im.exec(text)?.[1] ?? '', to: this.#to, text, accepted });
  }

  #say(line: string): void {
    if (this.#socket.writable) this.#socket.write(`${line}\r\n`);
  }
}
