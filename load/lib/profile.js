/**
 * The traffic profile: one row for each endpoint with its planned traffic and its limits. Every scenario and every threshold is
 * derived from this table, so changing a target means changing the CSV and nothing else.
 */

/** RFC 4180 with quoted fields; the file has no line breaks inside quotes. */
function fields(line) {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
}

/** `<0.5` (percent) -> 0.005 */
const share = (text) => Number(text.replace('<', '')) / 100;

/**
 * @param {string} csv content of profiles/traffic-profile.csv
 * @returns {{row: string, key: string, category: string, method: string, path: string, weight: number, p95: number, p99: number, errors: number}[]}
 *   `key` names the row as the file does, `row` is the metric tag (k6 reads braces as its own); `weight` is the target peak per
 *   hour, `p95`/`p99` are milliseconds, `errors` is the allowed share.
 */
export function parseProfile(csv) {
  const [header, ...lines] = csv.trim().split(/\r?\n/).map(fields);
  return lines.map((line, index) => {
    const cell = (name) => {
      const value = line[header.indexOf(name)];
      if (value === undefined) throw new Error(`traffic profile, row ${index + 2}: no column "${name}"`);
      return value;
    };
    const number = (name, value = Number(cell(name))) => {
      if (!(value > 0)) throw new Error(`traffic profile, row ${index + 2}: "${name}" must be a positive number`);
      return value;
    };
    const [method, path] = [cell('Method'), cell('Endpoint')];
    return {
      key: `${method} ${path}`,
      row: `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
      category: cell('Endpoint Category'),
      method,
      path,
      weight: number('Target Peak Hourly'),
      p95: number('Response Time P95 (ms)'),
      p99: number('Response Time P99 (ms)'),
      errors: number('Target Error Rate %', share(cell('Target Error Rate %'))),
    };
  });
}

/** Splits the profile by what can be called today. A recipe for a row that the profile lacks is a mistake, and says so. */
export function splitServed(rows, recipes) {
  const unknown = Object.keys(recipes).filter((key) => !rows.some((row) => row.key === key));
  if (unknown.length > 0) throw new Error(`recipes without a row in the traffic profile: ${unknown.join(', ')}`);
  return { served: rows.filter(({ key }) => key in recipes), notServed: rows.filter(({ key }) => !(key in recipes)) };
}

/** A picker of rows by weight: `pick(x)` with x in [0, 1) is row i for a share weight_i / total of all x. */
export function weightedPicker(rows) {
  const total = rows.reduce((sum, { weight }) => sum + weight, 0);
  let sum = 0;
  const bounds = rows.map(({ weight }) => {
    sum += weight;
    return sum / total;
  });
  return (x) => rows[bounds.findIndex((bound) => x < bound)] ?? rows[rows.length - 1];
}
