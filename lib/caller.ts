/**
 * Whether somebody still waits for the result of a piece of work. One is made for each request, so it is lighter than an
 * AbortController; what can wait long (the queue for a connection) listens to it and gives up when the caller has.
 */
export class Caller {
  #gone = false;
  #commits = 0;
  #stored = false;
  #listeners: Set<() => void> | undefined;

  /** The client has closed its connection, or has been answered without the result. */
  get gone(): boolean {
    return this.#gone;
  }

  /** A COMMIT of this caller has been sent and not answered: what becomes of it cannot be said now. */
  get committing(): boolean {
    return this.#commits > 0;
  }

  /** Nothing more is to be sent for this caller. While a COMMIT is under way that is not decided: what belongs to it goes on. */
  get isGivenUp(): boolean {
    return this.#gone && this.#commits === 0;
  }

  /** It can no longer be promised that nothing was stored: a COMMIT is under way, has succeeded, or was never answered. */
  get mayHaveStored(): boolean {
    return this.#stored || this.committing;
  }

  /** A COMMIT goes out. Returns the function that notes its end: `stored` unless it is certain that nothing was. */
  commits(): (stored: boolean) => void {
    this.#commits += 1;
    return (stored) => {
      this.#commits -= 1;
      this.#stored ||= stored;
    };
  }

  leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener();
  }

  /** Calls `listener` when the caller leaves; never, when it has left before. Returns the function that ends it. */
  onLeave(listener: () => void): () => void {
    if (this.#gone) return () => undefined;
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => this.#listeners?.delete(listener);
  }
}
