import { whenLate } from '../../lib/late';

/** Questions sent over IPC that wait for their answer, by number. A late answer is dropped: its asker has gone on. */
export class PendingCalls<T> {
  readonly #waiting = new Map<number, (answer: T) => void>();
  #next = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Sends through `ask` with a fresh number; rejects after `timeoutMs` without an answer. */
  start(timeoutMs: number, ask: (call: number) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#next += 1;
      const call = this.#next;
      const cancel = whenLate(timeoutMs, () => {
        this.#waiting.delete(call);
        reject(new Error(`No answer from the primary within ${timeoutMs} ms`));
      });
      this.#waiting.set(call, (answer) => {
        cancel();
        this.#waiting.delete(call);
        resolve(answer);
      });
      ask(call);
    });
  }

  finish(call: number, answer: T): void {
    this.#waiting.get(call)?.(answer);
  }
}
