/** PostgreSQL's own parser (compiled to WebAssembly), loaded when a SQLite database is opened and never otherwise. */
import type { Node, ParsedStatement } from './ast';

interface ParserModule {
  loadModule(): Promise<void>;
  parseSync(text: string): { stmts?: ParsedStatement[] };
}

let parser: ParserModule | undefined;

/** @throws Error when the development dependency is not installed */
export async function loadParser(): Promise<void> {
  if (parser) return;
  // A variable keeps the compiler from looking for the package, which production images leave out.
  const packageName = 'libpg-query';
  const loaded = (await import(packageName)) as ParserModule & { default?: ParserModule };
  const found = loaded.default ?? loaded;
  await found.loadModule();
  parser = found;
}

/** The statements of a text. @throws Error with PostgreSQL's words for what is no SQL */
export function parseSql(text: string): Node[] {
  if (!parser) throw new Error('The SQL parser is not loaded');
  return (parser.parseSync(text).stmts ?? []).map(({ stmt }) => stmt);
}
