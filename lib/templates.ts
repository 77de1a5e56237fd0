/**
 * Texts with variables: `{{ path }}` or `{{ path | fallback }}`, where a path is words joined by dots; `\{{` is a literal `{{`.
 * What does not fit this form stays as it is written.
 */
const TOKEN = /\\\{\{|\{\{\s*([A-Za-z0-9_.]+)\s*(?:\|\s*([^{}]*?)\s*)?\}\}/g;

/** Paths of the variables, sorted and unique. */
export function templateVariables(body: string): string[] {
  const paths = new Set<string>();
  for (const [, path] of body.matchAll(TOKEN)) if (path) paths.add(path);
  return [...paths].sort();
}

/** Fills the variables in: the value, else the fallback, else nothing. Values are not read for further variables. */
export function renderTemplate(body: string, values: Readonly<Record<string, string | null>>): string {
  return body.replace(TOKEN, (token, path: string | undefined, fallback: string | undefined) => {
    if (path === undefined) return token.slice(1);
    const value = Object.hasOwn(values, path) ? values[path] : null;
    return value?.trim() ? value : (fallback ?? '');
  });
}
