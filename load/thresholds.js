/** k6 thresholds, one set for each row of the traffic profile. The row is a tag, so each endpoint is held to its own limits. */

/** What the whole mix has to keep at 200 and 400 virtual users, whatever the rows allow. */
const OVERALL = { p95: 300, p99: 800, errors: 0.01 };

/**
 * @param rows parsed rows that are served
 * @param {{samples?: number, noErrors?: boolean, overall?: boolean, noneDropped?: boolean, factor?: number}} [demands] `samples`: least number for every row;
 *   `noErrors`: not even the share that the row allows; `overall`: hold the mix to its own limits too; `noneDropped`: every planned call was made; `factor`: on times, for
 *   machines that are busy with other things (1 on an idle one)
 */
export function rowThresholds(rows, { samples = 0, noErrors = false, overall = false, noneDropped = false, factor = 1 } = {}) {
  const thresholds = {};
  for (const { row, p95, p99, errors } of rows) {
    thresholds[`http_req_duration{row:${row}}`] = [`p(95)<${p95 * factor}`, `p(99)<${p99 * factor}`];
    thresholds[`row_errors{row:${row}}`] = [noErrors ? 'rate==0' : `rate<${errors}`];
    thresholds[`row_samples{row:${row}}`] = [`count>=${samples}`];
  }
  if (noneDropped) thresholds.dropped_iterations = ['count==0'];
  if (overall) {
    thresholds['http_req_duration{kind:row}'] = [`p(95)<${OVERALL.p95 * factor}`, `p(99)<${OVERALL.p99 * factor}`];
    thresholds.row_errors = [`rate<${OVERALL.errors}`];
  }
  return thresholds;
}
