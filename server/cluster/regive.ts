/**
 * Gives a connection to another worker when the one it was handed to died before it took it. Node's cluster module keeps
 * such a connection open in the primary and waits for an acknowledgement that can no longer come, so the client would hang
 * until its own timeout. A refusal in the dead worker's name makes the module hand the connection to the next worker, exactly
 * as it does for a worker that is closing. The dead worker cannot have read from it: it acknowledges first.
 *
 * This leans on two things that the module's protocol has had since it exists, and the tests notice when they change: a
 * connection is sent as `{cmd: 'NODE_CLUSTER', act: 'newconn', seq}`, and answered by an `internalMessage` with `ack`.
 */
import type { ChildProcess } from 'node:child_process';

interface ClusterMessage {
  cmd?: string;
  act?: string;
  seq?: number;
  ack?: number;
  accepted?: boolean;
}

/** A connection, as the module holds it in the primary. */
interface Handle {
  close(): void;
}

const READ_REST_MS = 50;
const REFUSE_MS = 2;

export interface RegiveOptions {
  /** Called with the number of connections given to others after its death. */
  onRegiven: (count: number) => void;
  /** True while the worker is to get no new connection and somebody else can take it. */
  avoid?: () => boolean;
  /** Whether another worker listens: one to whom the module would give what this one did not take. */
  othersListen: () => boolean;
}

/**
 * A connection for a worker that is to get none is never sent: it is refused in its name, and the module gives it to the next.
 * What was sent already stays with it, for it may read from it when it goes on; after its death that is given to others. Where there are
 * none it is closed, for the module would keep it, and its client waiting, for ever.
 */
export function regive(worker: ChildProcess, { onRegiven, avoid = () => false, othersListen }: RegiveOptions): void {
  const untaken = new Map<number, Handle | undefined>();
  const refuse = (ack: number): void => {
    if (untaken.delete(ack)) worker.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
  };
  const send = worker.send.bind(worker) as (...args: unknown[]) => boolean;
  (worker as { send: unknown }).send = (message: ClusterMessage, handle?: Handle, ...rest: unknown[]): boolean => {
    if (message?.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && typeof message.seq === 'number') {
      const { seq } = message;
      untaken.set(seq, handle);
      if (avoid()) {
        // Not at once: while the others are busy it would come back here each time.
        setTimeout(() => refuse(seq), REFUSE_MS);
        return true;
      }
    }
    return send(message, handle, ...rest);
  };
  worker.on('internalMessage', (message: ClusterMessage) => {
    if (typeof message?.ack !== 'number') return;
    // It was the last that listened: the module has queued what it refuses where nobody looks any more.
    if (message.accepted === false && !othersListen()) untaken.get(message.ack)?.close();
    untaken.delete(message.ack);
  });
  worker.once('exit', () => {
    // What it still said is in the channel already: read it first. ('disconnect' does not come while a handle is under way.)
    setTimeout(() => {
      if (untaken.size === 0) return;
      if (!othersListen()) {
        for (const handle of untaken.values()) handle?.close();
        untaken.clear();
        return;
      }
      const refused = [...untaken.keys()];
      for (const ack of refused) refuse(ack);
      onRegiven(refused.length);
    }, READ_REST_MS);
  });
}
