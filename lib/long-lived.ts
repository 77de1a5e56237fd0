/**
 * Answers without an end of their own (server-sent events, web sockets, anything that is pushed): whoever opens one says here how it
 * is ended, and the server ends all of them when it drains. Without that one open stream would hold up a stop, or a rolling
 * restart, until GRACEFUL_TIMEOUT cuts it off.
 */
import { log } from './log';

const open = new Set<() => void>();
let ending = false;

/**
 * `end` is called once, when this process stops serving; at once when it has begun to already. It should say goodbye in the way of
 * the protocol (an SSE `retry:` line, a close frame) and end the stream. @returns to be called when the stream has ended by itself
 */
export function whileServing(end: () => void): () => void {
  if (ending) call(end);
  else open.add(end);
  return () => open.delete(end);
}

/** This process stops serving: everything that is open now or is opened later ends. */
export function endLongLived(): void {
  ending = true;
  for (const end of open) {
    open.delete(end);
    call(end);
  }
}

/** How many are open. */
export const longLivedCount = (): number => open.size;

function call(end: () => void): void {
  try {
    end();
  } catch (error) {
    log.error('a long-lived answer could not be ended', { error });
  }
}
