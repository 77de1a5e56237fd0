/**
 * A time limit for an answer from another process. When this process was busy itself for as long, the answer may be lying unread in
 * its socket, since timers run before sockets are read: so sockets are read once more before the verdict.
 */

/** Calls `late` after `ms`, unless cancelled before. @returns the function that cancels it */
export function whenLate(ms: number, late: () => void): () => void {
  let cancelled = false;
  const timer = setTimeout(() => {
    setImmediate(() =>
      setImmediate(() => {
        if (!cancelled) late();
      }),
    );
  }, ms);
  return () => {
    cancelled = true;
    clearTimeout(timer);
  };
}
