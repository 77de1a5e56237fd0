/**
 * The control socket: one JSON object a line in, one or more out. A request is `{"command": …, …arguments}`, with `by` the
 * caller's pid when it gives one. Answers are `{"event":"progress",…}` as often as there is something to tell, then exactly one of
 * `{"event":"done","result":…}` and `{"event":"refused","kind":…,"message":…}`. Requests on one connection run one after another;
 * an act goes on when its caller goes away. Every act is written into the log twice: that it was asked for, and how it ended.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { audit, log } from '../../lib/log';
import { type Command, ControlRefusal, readCommand } from './control-commands';
import { listenOnControlSocket } from './control-socket';

/** Tells the caller how far an act is. */
export type Progress = (facts: Readonly<Record<string, unknown>>) => void;
/** Carries a command out. @throws ControlRefusal; any other error is a defect and answered as `failed` */
export type Act = (command: Command, progress: Progress) => Promise<unknown>;

const MAX_LINE_BYTES = 16 * 1024;
const MAX_CALLERS = 32;
/** A caller that sends nothing holds one of few places. */
const SILENT_MS = 60_000;
/** In a stop: so long a caller has to read its answer. */
const LAST_ANSWER_MS = 1_000;

export class ControlServer {
  readonly #act: Act;
  readonly #server: Server;
  readonly #callers = new Set<Socket>();
  #remove: () => void = () => undefined;
  #acts = 0;

  constructor(act: Act) {
    this.#act = act;
    // A caller that has said all may close its half and still wants the answer: `echo … | socat`.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#serve(socket));
    this.#server.maxConnections = MAX_CALLERS;
  }

  /** @throws BootFailure when the place is taken or unsafe */
  async open(path: string): Promise<void> {
    this.#remove = await listenOnControlSocket(this.#server, path);
    this.#server.on('error', (error) => log.error('the control socket failed', { error }));
    // A primary that is killed with nothing else to say must not leave a socket that looks alive.
    process.once('exit', this.#remove);
  }

  /** Ends the callers, those with an answer on its way after it, and removes the socket. One that does not read is not waited for. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const caller of this.#callers) caller.destroySoon();
    const late = setTimeout(() => {
      for (const caller of this.#callers) caller.destroy();
    }, LAST_ANSWER_MS);
    await closed;
    clearTimeout(late);
  }

  #serve(socket: Socket): void {
    this.#callers.add(socket);
    let rest = '';
    let answering = Promise.resolve();
    socket.setEncoding('utf8');
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    socket.once('close', () => this.#callers.delete(socket));
    // A caller that has gone hears nothing more; its act goes on.
    socket.on('error', () => socket.destroy());
    // The end of what it says is told at once, even while nothing is read.
    socket.on('end', () => void answering.then(() => socket.end()));
    socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      if (Buffer.byteLength(rest) > MAX_LINE_BYTES) {
        say(socket, refusal(new ControlRefusal('usage', `a request has at most ${MAX_LINE_BYTES} bytes`)));
        socket.destroySoon();
        rest = '';
        return;
      }
      const asked = lines.filter((line) => line.trim() !== '');
      if (asked.length === 0) return;
      // Nothing more is read meanwhile: whoever asks without end must not fill our memory.
      socket.pause();
      answering = this.#answerAll(socket, asked).then(() => void socket.resume());
    });
  }

  async #answerAll(socket: Socket, lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      // An act may take minutes and say nothing for long.
      socket.setTimeout(0);
      await this.#answer(socket, line);
      socket.setTimeout(SILENT_MS);
      if (socket.writableNeedDrain) await readBy(socket);
    }
  }

  async #answer(socket: Socket, line: string): Promise<void> {
    this.#acts += 1;
    const act = this.#acts;
    let told: Record<string, unknown> = {};
    try {
      const { by, ...request } = parse(line);
      told = { act, ...callerOf(by) };
      const command = readCommand(request);
      told = { ...told, ...command };
      if (command.command !== 'status') audit('control: asked', told);
      const result = await this.#act(command, (facts) => say(socket, { event: 'progress', ...facts }));
      if (command.command !== 'status') audit('control: done', { ...told, result });
      say(socket, { event: 'done', result });
    } catch (error) {
      if (error instanceof ControlRefusal) audit('control: refused', { ...told, kind: error.kind, why: error.message });
      else log.error('control: failed', { ...told, error });
      say(socket, refusal(error));
    }
  }
}

function parse(line: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, with what was expected.
  }
  throw new ControlRefusal('usage', 'a request is one JSON object on a line');
}

function refusal(error: unknown): Record<string, unknown> {
  if (error instanceof ControlRefusal) {
    const { kind, message, argument, facts } = error;
    return { event: 'refused', kind, message, ...(argument === undefined ? {} : { argument }), ...facts };
  }
  return { event: 'refused', kind: 'failed', message: error instanceof Error ? error.message : String(error) };
}

/** Resolves when the caller has read what was said so far, or is gone. */
function readBy(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });
}

function say(socket: Socket, answer: Record<string, unknown>): void {
  if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
}

/**
 * Who asks. Node cannot read a peer's credentials, so the pid is the caller's own word; whose process that is says the kernel.
 * That the caller is our own user, or root, the rights of the socket have seen to.
 */
function callerOf(by: unknown): { by_pid?: number; by_uid?: number } {
  if (typeof by !== 'number' || !Number.isInteger(by) || by < 1) return {};
  try {
    const uid = /^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${by}/status`, 'utf8'))?.[1];
    return { by_pid: by, ...(uid === undefined ? {} : { by_uid: Number(uid) }) };
  } catch {
    return { by_pid: by };
  }
}
