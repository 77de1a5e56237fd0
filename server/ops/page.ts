/** `/stats` for a person: plain HTML without scripts or outside assets, renewed by the browser every five seconds. */
import type { Stats } from './stats.schema';

const REFRESH_S = 5;

const escapeHtml = (value: unknown): string => String(value ?? '–').replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const megabytes = (bytes: number | null): string => (bytes === null ? '–' : `${Math.round(bytes / 1024 / 1024)} MB`);
const percent = (share: number | null): string => (share === null ? '–' : `${Math.round(share * 1000) / 10} %`);

function table(caption: string, head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = (row: readonly unknown[]) => row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('');
  const body = rows.length === 0 ? `<tr><td colspan="${head.length}">none</td></tr>` : rows.map((row) => `<tr>${cells(row)}</tr>`).join('');
  const heads = head.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  return `<table><caption>${escapeHtml(caption)}</caption><thead><tr>${heads}</tr></thead><tbody>${body}</tbody></table>`;
}

export function renderPage(stats: Stats): string {
  const { service, cluster, requests, db, workers, routes, recent, resources } = stats;
  const figures = [
    ['Requests', requests.total],
    ['Per second (1 min)', requests.rps['1m']],
    ['In flight', requests.in_flight],
    ['p50 / p95 / p99 ms', [requests.latency.p50, requests.latency.p95, requests.latency.p99].map((value) => value ?? '–').join(' / ')],
    ['5xx', percent(requests.error_ratio['5xx'])],
    ['Workers', `${cluster.booted_workers} of ${cluster.workers.target}`],
    ['Restarts', cluster.restarts.total],
    ['Pool', `${db.primary.pool.busy} of ${db.primary.pool.max} busy, ${db.primary.pool.waiting} waiting`],
    ['Memory', megabytes(resources.memory.rss)],
    ['Processor', resources.cpu.percent === null ? '–' : `${resources.cpu.percent} %`],
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="${REFRESH_S}">
<title>${escapeHtml(cluster.state)} – ${escapeHtml(service.name)}</title>
<style>
body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem;color:#1b1f24;background:#fff}
h1{font-size:1.2rem;margin:0 0 1rem}h1 span{font-weight:400;color:#57606a}
table{border-collapse:collapse;margin:0 0 1.5rem;width:100%}caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #d8dee4;font-variant-numeric:tabular-nums}
</style>
</head>
<body>
<h1>${escapeHtml(cluster.state)} <span>${escapeHtml(service.name)} ${escapeHtml(service.version)}, up ${escapeHtml(Math.round(service.uptime))} s, ${escapeHtml(stats.generated_at)}</span></h1>
${table('Now', ['figure', 'value'], figures)}
${table(
  'Workers',
  ['slot', 'pid', 'state', 'check-in s', 'requests', 'in flight', 'p99 ms', 'loop', 'lag p99 ms', 'memory', 'pool'],
  workers.map((one) => [
    one.kind === 'jobs' ? 'jobs' : one.slot,
    one.pid,
    one.state,
    one.last_checkin,
    one.requests_count,
    one.in_flight,
    one.latency.p99,
    percent(one.elu),
    one.lag_p99,
    megabytes(one.rss),
    one.pool ? `${one.pool.total} of ${one.pool.granted}` : null,
  ]),
)}
${table(
  'Routes of the last minute, by time',
  ['route', 'count', 'p50 ms', 'p95 ms', 'p99 ms', '4xx', '5xx', 'statements p95'],
  routes.map((one) => [`${one.method} ${one.route}`, one.count, one.p50, one.p95, one.p99, one['4xx'], one['5xx'], one.queries_p95]),
)}
${table(
  'Slow requests',
  ['at', 'route', 'ms', 'database ms', 'statements', 'request id'],
  recent.slow_requests.map((one) => [one.at, one.route, one.ms, one.db_ms, one.queries, one.request_id]),
)}
${table(
  'Errors',
  ['at', 'route', 'code', 'request id'],
  recent.errors.map((one) => [one.at, one.route, one.code, one.request_id]),
)}
</body>
</html>
`;
}
