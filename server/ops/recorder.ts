/**
 * What one process remembers of its last requests, statements and errors, for the "recent" part of `/stats`.
 * Bounded rings; the link drains what is new into each second's report, so the primary holds the cluster's view.
 * Only ids, routes, durations and codes are kept: never a path, a body, a value or a tenant.
 */
import { config } from '../../config';
import type { RepeatedRead } from '../../lib/read-watch';

export interface RequestRecord {
  /** Endpoint id or pattern, bounded; `unmatched` for unknown paths. */
  route: string;
  method: string;
  status: number;
  ms: number;
  dbMs: number;
  queries: number;
  requestId: string;
  /** Error code of the reply, when it was a refusal. */
  code?: string | undefined;
  /** No probe and no page of operations. */
  isWork: boolean;
}

export interface SlowRequest {
  request_id: string;
  route: string;
  ms: number;
  db_ms: number;
  queries: number;
  at: string;
}

export interface SlowQuery {
  fingerprint: string;
  ms: number;
  route: string | null;
  at: string;
}

/** The plan of a slow statement, without literals. */
export interface SlowPlan {
  fingerprint: string;
  plan: string[];
}

export interface RecentError {
  request_id: string | null;
  route: string | null;
  code: string;
  fingerprint: string;
  at: string;
}

/** One statement sent again and again by requests of one route. */
export interface RepeatedReads {
  route: string;
  fingerprint: string;
  call_site: string | null;
  /** In the worst request. */
  repeats_max: number;
  /** Requests in which it happened. */
  requests: number;
  /** Database time of the repetitions, all requests. */
  wasted_ms: number;
}

export interface RecentEntries {
  slow_requests: SlowRequest[];
  slow_queries: SlowQuery[];
  /** Not a ring: the last plan of each statement. */
  slow_plans: SlowPlan[];
  errors: RecentError[];
  /** Not a ring: each statement of a route once, added up. */
  repeated_reads: RepeatedReads[];
}

const KEPT = 20;

const nothing = (): RecentEntries => ({ slow_requests: [], slow_queries: [], slow_plans: [], errors: [], repeated_reads: [] });

/** What an answer still counts for at the next report: after ten seconds a third, after half a minute hardly anything. */
const REMEMBERED = 0.9;
/** The fewest answers that say what is typical: less than a worker gets that is only tried once a second. */
const LEAST_ANSWERS = 8;
const LEAST_MS = 0.1;

let fresh = nothing();
/** Of the last answers: how many, and the sum of the logarithms of their milliseconds. */
const latest = { answers: 0, logs: 0 };
let answered = 0;
let errors5xx = 0;
let maxMs = 0;

function keep<T>(ring: T[], entry: T): void {
  ring.push(entry);
  if (ring.length > KEPT) ring.shift();
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

/** To be called once for each answered request, after the reply was sent. */
export function recordRequest({ route, method, status, ms, dbMs, queries, requestId, code, isWork }: RequestRecord, at = new Date()): void {
  answered += 1;
  if (ms > maxMs) maxMs = ms;
  const name = `${method} ${route}`;
  if (ms > config.LOG_SLOW_REQUEST_MS)
    keep(fresh.slow_requests, { request_id: requestId, route: name, ms: round(ms), db_ms: round(dbMs), queries, at: at.toISOString() });
  // How quickly something is refused says nothing of how quickly the work is done.
  if (isWork && status < 400) {
    latest.answers += 1;
    latest.logs += Math.log(Math.max(ms, LEAST_MS));
  }
  if (status < 500) return;
  errors5xx += 1;
  const word = code ?? `http_${status}`;
  keep(fresh.errors, { request_id: requestId, route: name, code: word, fingerprint: `${name} ${word}`, at: at.toISOString() });
}

/** A statement slower than `LOG_SLOW_QUERY_MS`; `fingerprint` is the normalised text, without literals. */
export function recordSlowQuery(fingerprint: string, ms: number, route: string | null, at = new Date()): void {
  keep(fresh.slow_queries, { fingerprint: shortened(fingerprint), ms: round(ms), route, at: at.toISOString() });
}

/** Long enough to know a statement by. */
const shortened = (fingerprint: string): string => fingerprint.slice(0, 300);

/** What EXPLAIN said of a slow statement. */
export function recordSlowPlan(fingerprint: string, plan: string[]): void {
  fresh.slow_plans = addSlowPlans(fresh.slow_plans, [{ fingerprint: shortened(fingerprint), plan }]);
}

/** The newer plan of a statement replaces the older; the oldest go. */
export function addSlowPlans(known: readonly SlowPlan[], more: readonly SlowPlan[]): SlowPlan[] {
  const newer = new Set(more.map(({ fingerprint }) => fingerprint));
  return [...known.filter(({ fingerprint }) => !newer.has(fingerprint)), ...more].slice(-KEPT);
}

/** A request of `route` sent one read too often. */
export function recordRepeatedRead(route: string, { fingerprint, callSite, repeats, wastedMs }: RepeatedRead): void {
  const read = {
    route,
    fingerprint: shortened(fingerprint),
    call_site: callSite,
    repeats_max: repeats,
    requests: 1,
    wasted_ms: round(wastedMs),
  };
  fresh.repeated_reads = addRepeatedReads(fresh.repeated_reads, [read]);
}

/** Adds up by route and statement; the worst stay. */
export function addRepeatedReads(known: readonly RepeatedReads[], more: readonly RepeatedReads[]): RepeatedReads[] {
  const all = new Map<string, RepeatedReads>();
  for (const read of [...known, ...more]) {
    const key = `${read.route} ${read.fingerprint}`;
    const sum = all.get(key);
    all.set(
      key,
      sum
        ? {
            ...sum,
            call_site: sum.call_site ?? read.call_site,
            repeats_max: Math.max(sum.repeats_max, read.repeats_max),
            requests: sum.requests + read.requests,
            wasted_ms: round(sum.wasted_ms + read.wasted_ms),
          }
        : read,
    );
  }
  return [...all.values()].sort((a, b) => b.wasted_ms - a.wasted_ms).slice(0, KEPT);
}

/** A failure outside any reply: an uncaught exception, a failed closer. */
export function recordError(code: string, fingerprint: string, requestId: string | null = null, at = new Date()): void {
  keep(fresh.errors, { request_id: requestId, route: null, code, fingerprint: fingerprint.slice(0, 200), at: at.toISOString() });
}

export interface RecorderTotals {
  answered: number;
  errors_5xx: number;
  /** Longest request since the previous call, milliseconds. */
  max_ms: number;
  /** Geometric mean of what was done in the last ten seconds or so, milliseconds; null while that is too little. */
  typical_ms: number | null;
  recent: RecentEntries;
}

/**
 * A middle value would jump where half of the answers come from a cache, an arithmetic mean with every export; the mean of the
 * logarithms does neither.
 */
const typicalMs = (): number | null => (latest.answers < LEAST_ANSWERS ? null : round(Math.exp(latest.logs / latest.answers)));

/** Totals so far and the entries since the previous call, which are handed over: a second call does not repeat them. */
export function drainRecorder(): RecorderTotals {
  const totals = { answered, errors_5xx: errors5xx, max_ms: round(maxMs), typical_ms: typicalMs(), recent: fresh };
  fresh = nothing();
  maxMs = 0;
  latest.answers *= REMEMBERED;
  latest.logs *= REMEMBERED;
  return totals;
}
