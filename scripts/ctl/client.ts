/** The caller's side of the control socket: one request, its progress, its end. */
import { connect } from 'node:net';
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

/**
 * Sends one command and waits for its end, however long it takes.
 * @param show gets every answer, the last one included
 * @throws ControlRefusal as the service said it; NoService
 */
export function ask(path: string, request: Command, show: (answer: Answer) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let rest = '';
    let ended = false;
    const end = (act: () => void) => {
      ended = true;
      socket.destroy();
      act();
    };
    socket.setEncoding('utf8');
    socket.once('connect', () => socket.write(`${JSON.stringify({ ...request, by: process.pid })}\n`));
    socket.on('data', (text: string) => {
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
    });
    socket.once('error', (error: NodeJS.ErrnoException) => end(() => reject(explain(error, path))));
    socket.once('close', () => {
      if (!ended) reject(new NoService('the service ended before it answered', EXIT_UNAVAILABLE));
    });
  });
}

function explain(error: NodeJS.ErrnoException, path: string): NoService {
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return new NoService(`the control socket ${path} belongs to another user`, EXIT_NO_PERMISSION);
  const why = error.code === 'ENOENT' ? 'is not there' : `does not answer (${error.code ?? error.message})`;
  return new NoService(
    `the control socket ${path} ${why}: does the service run, with the same CONTROL_SOCKET or DATA_DIR as here?`,
    EXIT_UNAVAILABLE,
  );
}
