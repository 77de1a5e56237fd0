/**
 * What the service's statements cost the database, every five minutes: the top twenty by total time since the reading before, kept for
 * a week, and which of them take three times as long as they used to. Needs the extension pg_stat_statements; without it there is no
 * profile, and /stats says why.
 */
import { clock } from '../lib/clock';
import type { CostlyStatement, DatabaseFigures, ProfilerStatus, ServerFigures } from '../lib/database-figures';
import { inTransaction, unsafeQuery } from '../lib/db';
import { fingerprint } from '../lib/fingerprint';
import { log } from '../lib/log';
import {
  ADD_PROFILE,
  BASELINES,
  COUNTED_AT,
  FIND_EXTENSION,
  FORGET_COUNTERS,
  FORGET_PROFILES,
  FORMER_COUNTERS,
  KEEP_COUNTERS,
  LATEST_PROFILE,
  LOCK_PROFILE,
  readCounters,
  readTexts,
  SERVER_FIGURES,
} from '../models/statement-profiles.queries';
import { type Baseline, costsSince, dearest, isRegression, MIN_SAMPLES, type StatementCounters } from './statement-costs';

const PERIOD_MS = 5 * 60_000;
const TOP = 20;
const DAY_MS = 24 * 60 * 60_000;
const BASELINE_DAYS = 7;
const KEPT_DAYS = 8;

export interface ProfileRun {
  status: ProfilerStatus;
  /** Statements kept; null when this stretch was profiled already, or when there is nothing to compare with yet. */
  kept: number | null;
  regressions: number;
}

const NOTHING = { kept: null, regressions: 0 };

/**
 * Takes the profile of the five minutes that end now, once, however many instances try: a second one finds it taken. The first reading
 * of all is only remembered.
 */
export function unsafeProfileStatements(now = clock.now()): Promise<ProfileRun> {
  const stretch = new Date(Math.floor(now.getTime() / PERIOD_MS) * PERIOD_MS);
  return inTransaction(async () => {
    const { status, schema } = await findExtension();
    if (status !== 'up') return { status, ...NOTHING };
    await unsafeQuery(LOCK_PROFILE);
    const [counted] = await unsafeQuery<{ at: Date | null }>(COUNTED_AT);
    if (counted?.at && counted.at >= stretch) return { status, ...NOTHING };
    const counters = await unsafeQuery<StatementCounters>(readCounters(schema));
    const former = await unsafeQuery<StatementCounters>(FORMER_COUNTERS);
    await keepCounters(counters, stretch);
    await unsafeQuery({ ...FORGET_PROFILES, values: [daysBefore(stretch, KEPT_DAYS)] });
    if (former.length === 0) return { status, ...NOTHING };
    const top = dearest(costsSince(new Map(former.map((one) => [one.queryid, one])), counters), TOP);
    return { status, kept: top.length, regressions: await keepProfile(top, { stretch, schema }) };
  });
}

const daysBefore = (moment: Date, days: number): Date => new Date(moment.getTime() - days * DAY_MS);

async function findExtension(): Promise<{ status: ProfilerStatus; schema: string }> {
  const [extension] = await unsafeQuery<{ schema: string; loaded: boolean }>(FIND_EXTENSION);
  return { status: !extension ? 'absent' : extension.loaded ? 'up' : 'not_loaded', schema: extension?.schema ?? '' };
}

async function keepCounters(counters: readonly StatementCounters[], at: Date): Promise<void> {
  await unsafeQuery(FORGET_COUNTERS);
  const column = <K extends keyof StatementCounters>(name: K) => counters.map((one) => one[name]);
  await unsafeQuery({ ...KEEP_COUNTERS, values: [column('queryid'), column('calls'), column('totalMs'), column('rows'), at] });
}

/** @returns the number of regressions among them */
async function keepProfile(top: readonly StatementCounters[], { stretch, schema }: { stretch: Date; schema: string }): Promise<number> {
  const ids = top.map(({ queryid }) => queryid);
  const texts = new Map(
    (await unsafeQuery<{ queryid: string; text: string }>({ ...readTexts(schema), values: [ids] })).map(({ queryid, text }) => [
      queryid,
      fingerprint(text),
    ]),
  );
  const baselines = new Map(
    (await unsafeQuery<Baseline & { queryid: string }>({ ...BASELINES, values: [ids, daysBefore(stretch, BASELINE_DAYS)] })).map((one) => [
      one.queryid,
      one,
    ]),
  );
  const rows = top.map((cost) => {
    const baseline = baselines.get(cost.queryid);
    return {
      ...cost,
      print: texts.get(cost.queryid) ?? '(forgotten by the server)',
      baselineMs: baseline && baseline.samples >= MIN_SAMPLES ? baseline.medianMs : null,
      regression: isRegression(cost, baseline),
    };
  });
  const column = <K extends keyof (typeof rows)[number]>(name: K) => rows.map((row) => row[name]);
  await unsafeQuery({
    ...ADD_PROFILE,
    values: [stretch, ids, column('print'), column('calls'), column('totalMs'), column('rows'), column('baselineMs'), column('regression')],
  });
  for (const { print, baselineMs, totalMs, calls } of rows.filter(({ regression }) => regression))
    log.warn('a statement takes three times as long as it used to', {
      fingerprint: print,
      mean_ms: rounded(totalMs / calls),
      baseline_ms: rounded(baselineMs ?? 0),
      calls,
    });
  return rows.filter(({ regression }) => regression).length;
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

type ProfileRow = CostlyStatement & { sampledAt: Date; baseline: number | null; isRegression: boolean };

/** The server as it is now and the last profile, whichever instance took it. */
export async function unsafeReadDatabaseFigures(): Promise<DatabaseFigures> {
  const [server] = await unsafeQuery<ServerFigures>(SERVER_FIGURES);
  if (!server) throw new Error('The database says nothing of itself');
  const { status } = await findExtension();
  const rows = await unsafeQuery<ProfileRow>(LATEST_PROFILE);
  return {
    server: { ...server, longest_transaction_s: rounded(server.longest_transaction_s) },
    profiler: status,
    sampled_at: rows[0]?.sampledAt.toISOString() ?? null,
    top: rows.map(({ queryid, fingerprint: print, calls, mean, total, rows: count }) => ({
      queryid,
      fingerprint: print,
      calls,
      mean: rounded(mean),
      total: rounded(total),
      rows: count,
    })),
    regressions: rows
      .filter(({ isRegression: slower }) => slower)
      .map(({ queryid, fingerprint: print, mean, baseline }) => ({
        queryid,
        fingerprint: print,
        mean: rounded(mean),
        baseline: rounded(baseline ?? 0),
      })),
  };
}
