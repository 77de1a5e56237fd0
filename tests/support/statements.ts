/** Counts the statements that a piece of work sends, transaction control apart. For the app in this process only. */
import { observeStatements } from '../../lib/db';

export interface Counted<T> {
  readonly result: T;
  /** In the order they were sent. */
  readonly statements: string[];
}

/** Nothing else may use the database of this process meanwhile. */
export async function countStatements<T>(work: () => Promise<T>): Promise<Counted<T>> {
  const statements: string[] = [];
  const stop = observeStatements(({ text }) => statements.push(text));
  try {
    return { result: await work(), statements };
  } finally {
    stop();
  }
}
