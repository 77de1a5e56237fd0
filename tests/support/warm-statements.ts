/**
 * Counts the statements of a request in a warm session. Session and tenant are cached for seconds only, so on a slow machine a
 * test may meet their look-up in between; it is not the endpoint's and is left out. What a reply costs is what it costs to compute:
 * kept ones are forgotten first.
 */
import { forgetReplies } from './server';
import { type Counted, countStatements } from './statements';

const LOOK_UP = /FROM (sessions s|tenants)\b/;

export async function countWarmStatements<T>(work: () => Promise<T>): Promise<Counted<T>> {
  await forgetReplies();
  const { result, statements } = await countStatements(work);
  return { result, statements: statements.filter((text) => !LOOK_UP.test(text)) };
}
