import { whenLate } from '../../lib/late';

/** Questions sent over IPC that wait for their answer, by number. The asker of a late answer has gone on. */
export class PendingCalls<T> {
  readonly #waiting = new Map<number, (answer: T) => void>();
  #next = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** Sends through `ask` with a fresh number; rejects after `timeoutMs` without an answer. One that comes later goes to `late`, if given. */
  start(timeoutMs: number, ask: (call: number) => void, late?: (answer: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#next += 1;
      const call = this.#next;
      const cancel = whenLate(timeoutMs, () => {
        this.#waiting.delete(call);
        if (late) this.#expect(call, late);
        reject(new Error(`No answer from the primary within ${timeoutMs} ms`));
      });
      this.#expect(call, (answer) => {
        cancel();
        resolve(answer);
      });
      ask(call);
    });
  }

  finish(call: number, answer: T): void {
    this.#waiting.get(call)?.(answer);
  }

  #expect(call: number, use: (answer: T) => void): void {
    this.#waiting.set(call, (answer) => {
      this.#waiting.delete(call);
      use(answer);
    });
  }
}
