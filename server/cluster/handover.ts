/**
 * How a connection goes from the primary to a worker. The primary sends the number with the handle and keeps its own copy until
 * the worker says that it has it. A worker that comes to it late leaves it alone and says so, because the primary may have given
 * it to another by then: TAKE_WITHIN_MS is the worker's limit, and only a good while later does the primary take it back.
 *
 * These messages have no `type`, so that the protocol of the worker's life (messages.ts) passes them by.
 */

/**
 * Give: `at` is {@link monotonicMs}. Last: no connection will come any more. Release: so many connections are to be ended with their next
 * answers; replaces the number before.
 */
export type ToTaker = { give: number; at: number } | { last: true } | { release: number };

/** `closed`: numbers of connections that ended since the previous message. */
export interface FromTaker {
  took?: number;
  refused?: number;
  closed: number[];
}

export const TAKE_WITHIN_MS = 1_000;
/** More than any pause between the worker's look at the clock and the arrival of its answer. */
export const TAKE_BACK_MS = 2_000;

/** A clock that all processes of a machine share. */
export function monotonicMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1_000 + nanoseconds / 1e6;
}

export const isFromTaker = (value: unknown): value is FromTaker =>
  typeof value === 'object' && value !== null && Array.isArray((value as { closed?: unknown }).closed);

export const isToTaker = (value: unknown): value is ToTaker =>
  typeof value === 'object' &&
  value !== null &&
  (typeof (value as { give?: unknown }).give === 'number' ||
    typeof (value as { release?: unknown }).release === 'number' ||
    (value as { last?: unknown }).last === true);
