/**
 * Kept connections stay where they were opened: a worker that comes back from a restart, or is new, would have few of them for as long as
 * clients keep theirs. So one that holds more than belong to it for a while lets some go: its next answers say that they are the last of
 * their connections, and those clients' next ones go to whoever holds the fewest. No request waits or fails for it.
 */

/** Uneven: the fullest holds more than the emptiest by this part of that, ... */
const UNEVEN_PART = 1 / 10;
/** ... and by so many at least: a few that come and go make no difference. */
const UNEVEN_BY = 4;

/** How many connections each of several equal workers should let go, by what each holds; all 0 while they are about even. */
export function excesses(lives: readonly number[]): number[] {
  const [most, fewest] = [Math.max(...lives), Math.min(...lives)];
  if (lives.length < 2 || most - fewest < Math.max(UNEVEN_BY, fewest * UNEVEN_PART)) return lives.map(() => 0);
  const fair = Math.ceil(lives.reduce((sum, live) => sum + live, 0) / lives.length);
  return lives.map((live) => Math.max(0, live - fair));
}
