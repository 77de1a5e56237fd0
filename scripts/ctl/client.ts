/** The caller's side of the control socket: one request, its progress, its end. */
import { connect, type Socket } from 'node:net';
import { type Command, ControlRefusal, type RefusalKind } from '../../server/cluster/control-commands';

/** Nobody to talk to, or not for us. */
export class NoService extends Error {
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.name = 'NoService';
    this.exitCode = exitCode;
  }
}

const EXIT_UNAVAILABLE = 69;
const EXIT_NO_PERMISSION = 77;

export type Answer = { event: 'progress' | 'done' | 'refused' } & Record<string, unknown>;

/** A primary that is well answers `status` in milliseconds; one that stands still takes the connection all the same, and says nothing. */
const STATUS_MS = 10_000;

/**
 * Sends one command and waits for its end, however long it takes; but first for the `status` of a service that is alive.
 * @param show gets every answer, the last one included
 * @throws ControlRefusal as the service said it; NoService
 */
export async function ask(path: string, request: Command, show: (answer: Answer) => void, statusMs = STATUS_MS): Promise<void> {
  const socket = connect({ path });
  const status: Command = { command: 'status' };
  try {
    if (request.command === 'status') await exchange(socket, path, status, { show, limitMs: statusMs });
    else {
      await exchange(socket, path, status, { limitMs: statusMs });
      await exchange(socket, path, { ...request, by: process.pid }, { show });
    }
  } finally {
    socket.destroy();
  }
}

interface Exchange {
  show?: (answer: Answer) => void;
  limitMs?: number;
}

/** One request and its answers, to the last one. */
function exchange(socket: Socket, path: string, request: object, { show = () => undefined, limitMs }: Exchange): Promise<void> {
  return new Promise((resolve, reject) => {
    let rest = '';
    let ended = false;
    const end = (act: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(timer);
      socket.removeListener('data', read);
      act();
    };
    const read = (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (ended) return;
        const answer = JSON.parse(line) as Answer;
        show(answer);
        if (answer.event === 'done') end(resolve);
        else if (answer.event === 'refused')
          end(() => reject(new ControlRefusal(answer['kind'] as RefusalKind, String(answer['message']))));
      }
    };
    const timer = limitMs === undefined ? undefined : setTimeout(() => end(() => reject(standsStill(path, limitMs))), limitMs);
    socket.setEncoding('utf8').on('data', read);
    socket.once('error', (error: NodeJS.ErrnoException) => end(() => reject(explain(error, path))));
    socket.once('close', () => end(() => reject(new NoService('the service ended before it answered', EXIT_UNAVAILABLE))));
    // Kept until the connection is there.
    socket.write(`${JSON.stringify(request)}\n`);
  });
}

const standsStill = (path: string, limitMs: number): NoService =>
  new NoService(
    `the service at ${path} takes connections, but has not answered for ${limitMs / 1000} s: its primary stands still`,
    EXIT_UNAVAILABLE,
  );

function explain(error: NodeJS.ErrnoException, path: string): NoService {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new NoService(`the control socket ${path} belongs to another user`, EXIT_NO_PERMISSION);
  const why = error.code === 'ENOENT' ? 'is not there' : `does not answer (${error.code ?? error.message})`;
  return new NoService(
    `the control socket ${path} ${why}: does the service run, with the same CONTROL_SOCKET or DATA_DIR as here?`,
    EXIT_UNAVAILABLE,
  );
}
