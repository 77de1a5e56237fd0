/**
 * Gives a connection to another worker when the one it was handed to died before it took it. Node's cluster module keeps
 * such a connection open in the primary and waits for an acknowledgement that can no longer come, so the client would hang
 * until its own timeout. A refusal in the dead worker's name makes the module hand the connection to the next worker, exactly
 * as it does for a worker that is closing. The dead worker cannot have read from it: it acknowledges first.
 *
 * This leans on what the module's protocol has had since it exists, and the tests notice when it changes: a connection is sent as
 * `{cmd: 'NODE_CLUSTER', act: 'newconn', key, seq}`, and answered by an `internalMessage` with `ack`; a worker listens on `key` from the
 * answer `{key, errno}` to its `queryServer` until its `{act: 'close', key}` or its end.
 */
import type { ChildProcess } from 'node:child_process';

interface ClusterMessage {
  cmd?: string;
  act?: string;
  seq?: number;
  ack?: number;
  accepted?: boolean;
  /** Which of the sockets that the module listens on. */
  key?: string;
  /** Of an answer to a worker that asks to listen: 0 or null when it does. */
  errno?: number | null;
}

/** A connection, as the module holds it in the primary. */
interface Handle {
  close(): void;
}

const READ_REST_MS = 50;
const REFUSE_MS = 2;

/** Who listens, as the module knows it: to whom it would give what another one did not take. */
export class Listeners {
  readonly #byKey = new Map<string, Set<ChildProcess>>();

  add(key: string, worker: ChildProcess): void {
    const listening = this.#byKey.get(key);
    if (listening) listening.add(worker);
    else this.#byKey.set(key, new Set([worker]));
  }

  remove(key: string, worker: ChildProcess): void {
    this.#byKey.get(key)?.delete(worker);
  }

  removeAll(worker: ChildProcess): void {
    for (const listening of this.#byKey.values()) listening.delete(worker);
  }

  /** Whether anybody listens on `key`, which may be the one that has just refused: its turn comes again. */
  has(key: string): boolean {
    return (this.#byKey.get(key)?.size ?? 0) > 0;
  }
}

export interface RegiveOptions {
  /** Called with the number of connections given to others after its death. */
  onRegiven: (count: number) => void;
  /** True while the worker is to get no new connection and somebody else can take it. */
  avoid?: () => boolean;
  /** Of all workers of the cluster. */
  listeners: Listeners;
}

/** Sent, and neither taken nor refused yet. */
interface Untaken {
  readonly key: string;
  readonly handle: Handle | undefined;
}

/**
 * A connection for a worker that is to get none is never sent: it is refused in its name, and the module gives it to the next.
 * What was sent already stays with it, for it may read from it when it goes on; after its death that is given to others. Where nobody
 * listens it is closed, for the module would keep it, and its client waiting, for ever.
 */
export function regive(worker: ChildProcess, { onRegiven, avoid = () => false, listeners }: RegiveOptions): void {
  const untaken = new Map<number, Untaken>();
  const refuse = (ack: number): void => {
    if (untaken.has(ack)) worker.emit('internalMessage', { cmd: 'NODE_CLUSTER', ack, accepted: false });
  };
  const send = worker.send.bind(worker) as (...args: unknown[]) => boolean;
  (worker as { send: unknown }).send = (message: ClusterMessage, handle?: Handle, ...rest: unknown[]): boolean => {
    if (message?.cmd !== 'NODE_CLUSTER' || typeof message.key !== 'string') return send(message, handle, ...rest);
    const { act, key, seq, errno } = message;
    if (act === 'newconn' && typeof seq === 'number') {
      untaken.set(seq, { key, handle });
      if (avoid()) {
        // Not at once: while the others are busy it would come back here each time.
        setTimeout(() => refuse(seq), REFUSE_MS);
        return true;
      }
    } else if (act === undefined && !errno) listeners.add(key, worker);
    return send(message, handle, ...rest);
  };
  // Before the module's own: what it does with a refusal depends on who listens then.
  worker.prependListener('internalMessage', ({ act, key, ack, accepted }: ClusterMessage = {}) => {
    if (act === 'close' && key !== undefined) listeners.remove(key, worker);
    if (typeof ack !== 'number') return;
    const refused = accepted === false ? untaken.get(ack) : undefined;
    untaken.delete(ack);
    // The module queues what is refused, and where nobody listens it never looks there any more.
    if (refused && !listeners.has(refused.key)) refused.handle?.close();
  });
  worker.once('disconnect', () => listeners.removeAll(worker));
  worker.once('exit', () => {
    listeners.removeAll(worker);
    // What it still said is in the channel already: read it first. ('disconnect' does not come while a handle is under way.)
    setTimeout(() => {
      let given = 0;
      for (const [ack, { key, handle }] of untaken)
        if (listeners.has(key)) {
          refuse(ack);
          given += 1;
        } else handle?.close();
      untaken.clear();
      if (given > 0) onRegiven(given);
    }, READ_REST_MS);
  });
}
