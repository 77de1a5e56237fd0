/** Figures of the shop: the dashboard, and analytics over a range of days. All days are the shop's own. */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { addDays, dayOf, isDay, rangeOfDay, startOfDay } from '../lib/days';
import { query, type Sql } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { APPOINTMENTS, CUSTOMERS, DASHBOARD_DETAILS, REVENUE } from '../models/analytics.queries';
import { CARS_IN_SHOP, DASHBOARD, type DashboardRow } from '../models/dashboard.queries';
import type { AnalyticsQuery, Granularity, StatsQuery } from '../schemas/analytics.schema';
import { boundary } from './appointments.service';

const DEFAULT_DAYS = 30;
const MAX_DAYS = 366;
const DAY_MS = 86_400_000;

/** Days, both ends inclusive. */
export interface Period {
  from: string;
  to: string;
  granularity: Granularity;
}

// ------------------------------------------------------------------ dashboard

/**
 * The dashboard's figures for a window, default today. Presence and debts are of now, whatever the window.
 * @throws BadRequest for a date that cannot be read, or a window that ends before it begins
 */
export async function dashboardStats({ from, to }: StatsQuery): Promise<DashboardRow> {
  const { timeZone } = tenant();
  const now = clock.now();
  const today = rangeOfDay(dayOf(now, timeZone), timeZone);
  const begin = from === undefined ? null : boundary(from, 'from', timeZone);
  const end = to === undefined ? null : boundary(to, 'to', timeZone);
  const window = {
    from: begin ?? (end && end <= today.from ? rangeOfDay(dayOf(new Date(end.getTime() - 1), timeZone), timeZone).from : today.from),
    to: end ?? (begin && begin >= today.to ? rangeOfDay(dayOf(begin, timeZone), timeZone).to : today.to),
  };
  if (window.from >= window.to) throw new BadRequest("'from' must not be after 'to'");
  return readDashboard(window.from, window.to);
}

async function readDashboard(from: Date, to: Date): Promise<DashboardRow> {
  const [row] = await query<DashboardRow>(DASHBOARD, [tenant().id, from, to]);
  if (!row) throw new Error('The dashboard has no row');
  return row;
}

/** JSON text of an array: the cars in the shop. */
export async function carsOnPremises(): Promise<string> {
  const [row] = await query<{ json: string }>(CARS_IN_SHOP, [tenant().id]);
  if (!row) throw new Error('The cars have no row');
  return row.json;
}

// ------------------------------------------------------------------ analytics

export interface DashboardFigures {
  period: Period;
  stats: DashboardRow;
  /** JSON text of an object. */
  details: string;
}

/** The dashboard's figures over a range, with revenue, rates and the services most done. @throws BadRequest for a bad range */
export async function dashboardAnalytics(wanted: AnalyticsQuery): Promise<DashboardFigures> {
  const period = periodOf(wanted);
  const { from, to } = instantsOf(period);
  const [stats, details] = [await readDashboard(from, to), await report(DASHBOARD_DETAILS, period)];
  return { period, stats, details };
}

/** JSON text of the report. @throws BadRequest for a bad range */
export const revenueAnalytics = (wanted: AnalyticsQuery): Promise<string> => reportOf(REVENUE, wanted);
/** JSON text of the report. @throws BadRequest for a bad range */
export const appointmentAnalytics = (wanted: AnalyticsQuery): Promise<string> => reportOf(APPOINTMENTS, wanted);
/** JSON text of the report. @throws BadRequest for a bad range */
export const customerAnalytics = (wanted: AnalyticsQuery): Promise<string> => reportOf(CUSTOMERS, wanted);

async function reportOf(sql: Sql, wanted: AnalyticsQuery): Promise<string> {
  const period = periodOf(wanted);
  const json = await report(sql, period);
  return `{"range":${JSON.stringify(period)},${json.slice(1)}`;
}

async function report(sql: Sql, period: Period): Promise<string> {
  const { id, timeZone } = tenant();
  const { from, to } = instantsOf(period);
  const [row] = await query<{ json: string }>(sql, [id, timeZone, from, to, period.granularity, period.from, period.to, clock.now()]);
  if (!row) throw new Error(`No row from ${sql.name}`);
  return row.json;
}

function instantsOf({ from, to }: Period): { from: Date; to: Date } {
  const { timeZone } = tenant();
  return { from: startOfDay(from, timeZone), to: startOfDay(addDays(to, 1), timeZone) };
}

function periodOf({ from, to, granularity }: AnalyticsQuery): Period {
  const last = day('to', to) ?? dayOf(clock.now(), tenant().timeZone);
  const first = day('from', from) ?? addDays(last, 1 - DEFAULT_DAYS);
  if (first > last) throw new BadRequest("'from' must not be after 'to'");
  if (Date.parse(last) - Date.parse(first) >= MAX_DAYS * DAY_MS) throw new BadRequest(`The range must not be longer than ${MAX_DAYS} days`);
  return { from: first, to: last, granularity };
}

function day(name: 'from' | 'to', text: string | undefined): string | undefined {
  if (text !== undefined && !isDay(text)) throw new BadRequest(`Invalid '${name}' date format`);
  return text;
}
