/** The closing table: each row of the profile against its own limits. Pure, so that it can be tested without k6. */

const ok = (metric) => Object.values(metric?.thresholds ?? {}).every((threshold) => threshold.ok);
const ms = (value) => (value === undefined ? '-' : value.toFixed(1));

/**
 * @param data what k6 hands to handleSummary
 * @param served rows with a recipe
 * @param factor what the times of the limits were multiplied by
 * @param notServed rows without one: named, so that a gap is not mistaken for a success
 */
export function table(data, served, notServed, factor = 1) {
  const metric = (name, row) => data.metrics[`${name}{row:${row}}`];
  const lines = served.map(({ row, p95, p99 }) => {
    const duration = metric('http_req_duration', row);
    const samples = metric('row_samples', row);
    const errors = metric('row_errors', row);
    const count = samples?.values.count ?? 0;
    const passed = count > 0 && ok(duration) && ok(samples) && ok(errors);
    return [
      row,
      String(count),
      `${ms(duration?.values['p(95)'])} / ${p95 * factor}`,
      `${ms(duration?.values['p(99)'])} / ${p99 * factor}`,
      // For a Rate, k6 counts what was true (an error) as `passes`.
      String(errors?.values.passes ?? 0),
      passed ? 'ok' : 'FAILED',
    ];
  });
  const overall = data.metrics['http_req_duration{kind:row}'];
  if (overall) {
    const { count, 'p(95)': p95, 'p(99)': p99 } = overall.values;
    const errors = data.metrics.row_errors;
    lines.push([
      'the whole mix',
      String(count),
      ms(p95),
      ms(p99),
      String(errors.values.passes),
      ok(overall) && ok(errors) ? 'ok' : 'FAILED',
    ]);
  }
  const dropped = data.metrics.dropped_iterations;
  if (dropped && !ok(dropped)) lines.push(['calls not made in time', String(dropped.values.count), '-', '-', '-', 'FAILED']);
  const failed = lines.filter((line) => line.at(-1) !== 'ok').length;
  const verdict = failed === 0 && notServed.length === 0 ? 'PASSED' : 'FAILED';
  const closing = `${verdict}: ${lines.length - failed} rows ok, ${failed} failed, ${notServed.length} not served yet`;
  const gaps = notServed.map(({ row }) => `  not served yet: ${row}`);
  return `\n${[...columns([['row', 'samples', 'p95 / limit ms', 'p99 / limit ms', 'errors', 'verdict'], ...lines]), ...gaps, closing].join('\n')}\n`;
}

function columns(lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines.map((line) =>
    line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join('  '),
  );
}
