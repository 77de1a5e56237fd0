/** Sends bytes through a real socket, in pieces, and reads what answers come back. */
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bytesFor, type RawRequest } from './raw-requests';

export type Splitting = 'whole' | 'lines' | 'bytes' | 'random';
export const SPLITTINGS: readonly Splitting[] = ['whole', 'lines', 'bytes', 'random'];

/** Numbers in [0, 1) that are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function split(bytes: string, how: Splitting, random: () => number): string[] {
  if (how === 'whole') return [bytes];
  if (how === 'lines') return bytes.match(/[^\n]*\n|[^\n]+$/g) ?? [];
  if (how === 'bytes') {
    // Byte by byte at both ends; in the middle of kilobytes of filling it would only take the time that a slow client has.
    if (bytes.length <= 2 * LONG_END) return [...bytes];
    return [...bytes.slice(0, LONG_END), bytes.slice(LONG_END, -LONG_END), ...bytes.slice(-LONG_END)];
  }
  const pieces: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + Math.floor(random() * 40);
    pieces.push(bytes.slice(at, at + length));
    at += length;
  }
  return pieces;
}

const LONG_END = 1_000;
const MAX_TRIES = 5;

/**
 * Sends one case under an id. A client that still sends when the server has closed may be reset before it has read the answer; that
 * says nothing of the server, so it is tried again under another id.
 */
export async function attempt(
  port: number,
  request: RawRequest,
  { how, random, id }: { how: Splitting; random: () => number; id: string },
): Promise<Reaction & { id: string }> {
  for (let tries = 1; ; tries += 1) {
    const tried = `${id}.${tries}`;
    const bytes = bytesFor(request, tried);
    const reaction = await send(port, split(bytes, how, random), { ...request, bytes });
    const hidden = reaction.reset && reaction.statuses.length < request.answers.length;
    if (!hidden || tries === MAX_TRIES) return { ...reaction, id: tried };
  }
}

export interface Reaction {
  statuses: number[];
  /** Headers and body of the last answer. */
  last: string;
  closed: boolean;
  /** By a reset, which may have hidden answers. */
  reset: boolean;
  /** Bytes that are no answer. */
  rest: string;
}

/** After the expected answers: time for one that must not come. */
const QUIET_MS = 60;

/** Resolves when the server has closed the connection, or has been silent for a moment after all that `expected` names. */
export function send(
  port: number,
  pieces: readonly string[],
  expected: Pick<RawRequest, 'answers' | 'after' | 'bytes'>,
): Promise<Reaction> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay(true);
  const withBody = !expected.bytes.startsWith('HEAD');
  let text = '';
  let reset = false;
  let timer: NodeJS.Timeout | undefined;
  return new Promise((resolve) => {
    const finish = (closed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ ...parseAnswers(text, withBody), closed, reset });
    };
    const look = () => {
      clearTimeout(timer);
      if (expected.after === 'open' && parseAnswers(text, withBody).statuses.length >= expected.answers.length)
        timer = setTimeout(() => finish(false), QUIET_MS);
    };
    socket.on('data', (part: string) => {
      text += part;
      look();
    });
    socket.on('error', () => {
      reset = true;
    });
    socket.on('close', () => finish(true));
    void write(socket, pieces).then(look);
  });
}

async function write(socket: Socket, pieces: readonly string[]): Promise<void> {
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  for (const piece of pieces) {
    if (!socket.writable) return;
    socket.write(piece, 'latin1');
    await nextTurn();
  }
}

/** Answers with a length or in chunks, as this service sends them. */
export function parseAnswers(text: string, withBody = true): Pick<Reaction, 'statuses' | 'last' | 'rest'> {
  const statuses: number[] = [];
  let last = '';
  let rest = text;
  for (;;) {
    const head = /^HTTP\/1\.1 (\d{3}) [^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
    if (!head) return { statuses, last, rest };
    const length = withBody ? bodyLength(head[0], rest.slice(head[0].length)) : 0;
    if (length === undefined) return { statuses, last, rest };
    if (head[1] !== '100') statuses.push(Number(head[1]));
    last = rest.slice(0, head[0].length + length);
    rest = rest.slice(last.length);
  }
}

/** Undefined while the body is not whole. */
function bodyLength(head: string, after: string): number | undefined {
  const [, size] = /\r\ncontent-length: (\d+)\r\n/i.exec(head) ?? [];
  if (size !== undefined) return after.length >= Number(size) ? Number(size) : undefined;
  if (!/\r\ntransfer-encoding: chunked\r\n/i.test(head)) return 0;
  const end = after.indexOf('0\r\n\r\n');
  return end === -1 ? undefined : end + '0\r\n\r\n'.length;
}
