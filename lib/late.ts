/**
 * A time limit for an answer from another process, in time during which this process could have heard it. While the event loop is held
 * up nothing is read, and answers lie in their sockets: such a hold-up counts as one slice at most, however long it was, and sockets are
 * read once more before the verdict, since timers run before them.
 */

const SLICE_MS = 50;

/** Calls `late` after `ms`, unless cancelled before. @returns the function that cancels it */
export function whenLate(ms: number, late: () => void): () => void {
  let cancelled = false;
  let timer: NodeJS.Timeout;
  const wait = (left: number): void => {
    const slice = Math.min(left, SLICE_MS);
    timer = setTimeout(() => (left > slice ? wait(left - slice) : readOnceMore()), slice);
  };
  const readOnceMore = (): void => {
    setImmediate(() =>
      setImmediate(() => {
        if (!cancelled) late();
      }),
    );
  };
  wait(ms);
  return () => {
    cancelled = true;
    clearTimeout(timer);
  };
}
