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
}

const READ_REST_MS = 50;

/** Follows one worker; `onRegiven` is called with the number of connections given to others after its death. */
export function regiveAfterDeath(worker: ChildProcess, onRegiven: (count: number) => void): void {
  const untaken = new Set<number>();
  const send = worker.send.bind(worker) as (...args: unknown[]) => boolean;
  (worker as { send: unknown }).send = (message: ClusterMessage, ...rest: unknown[]): boolean => {
    if (message?.cmd === 'NODE_CLUSTER' && message.act === 'newconn' && typeof message.seq === 'number') untaken.add(message.seq);
    return send(message, ...rest);
  };
  worker.on('internalMessage', (message: ClusterMessage) => {
    if (typeof message?.ack === 'number') untaken.delete(message.ack);
  });
  worker.once('exit', () => {
    // What it still said is in the channel already: read it first. ('disconnect' does not come while a handle is under way.)
    setTimeout(() => {
      const refused = [...untaken];
      untaken.clear();
      for (const ack of refused) worker.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
      if (refused.length > 0) onRegiven(refused.length);
    }, READ_REST_MS);
  });
}
