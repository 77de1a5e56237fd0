/** Tells the watch of a request which associations came with the rows of a model, so that one which nobody reads can be named. */
import type { Model } from 'sequelize';
import { currentContext } from './context';
import type { IncludedRow } from './read-watch';

/** What Sequelize knows of a row that was loaded with associations; internal, held by a test. */
interface Loaded extends IncludedRow {
  _options?: { includeNames?: string[] };
}

/**
 * To be called when a finder has resolved: Sequelize itself reads the associations once more after its last hook. Raw rows and counts
 * hold nothing to watch.
 * @param found one row, several or none, as the finder gives them
 */
export function noteIncludes(model: string, found: Model | Model[] | null): void {
  const watch = currentContext()?.stats.reads;
  if (!watch) return;
  const rows = [found].flat() as (Loaded | null)[];
  const names = rows[0]?._options?.includeNames ?? [];
  if (names.length > 0) watch.loaded(model, rows as Loaded[], names);
}
