/** The dashboard's figures as its widgets read them. */
import type { DashboardRow } from '../models/dashboard.queries';
import type { DashboardStats } from '../schemas/analytics.schema';

const CENTS = 100;
const HOUR_MINUTES = 60;
const DAY_HOURS = 24;

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
const dollars = (cents: number): number => cents / CENTS;

/** `30m`, `1.5h`, `2d`, `1d 1.5h`; `N/A` for none and for what cannot be (an end before its start). */
export function formatCycle(hours: number | null): string {
  if (hours === null || hours < 0) return 'N/A';
  const minutes = Math.round(hours * HOUR_MINUTES);
  if (minutes < HOUR_MINUTES) return `${minutes}m`;
  const tenths = rounded(hours, 1);
  if (tenths < DAY_HOURS) return `${tenths}h`;
  const days = Math.floor(tenths / DAY_HOURS);
  const rest = rounded(tenths - days * DAY_HOURS, 1);
  return rest === 0 ? `${days}d` : `${days}d ${rest}h`;
}

/** Appointments that were not called off. */
export const jobsOf = ({ total, canceled }: DashboardRow): number => total - canceled;

/** Share of `whole`, four decimals; null when there is nothing to share. */
export const rateOf = (part: number, whole: number): number | null => (whole === 0 ? null : rounded(part / whole, 4));

export function presentDashboard(row: DashboardRow): DashboardStats {
  const jobs = jobsOf(row);
  const { completed, scheduled, cycle_hours: cycle } = row;
  return {
    jobsToday: jobs,
    carsOnPremises: row.on_premises,
    scheduled,
    inProgress: row.in_progress,
    ready: row.ready,
    completed,
    noShow: row.no_show,
    unpaidTotal: dollars(row.unpaid_cents),
    today_completed: completed,
    totals: {
      today_completed: completed,
      today_booked: jobs,
      avg_cycle: cycle === null ? null : rounded(cycle, 2),
      avg_cycle_formatted: formatCycle(cycle),
    },
    completedToday: completed,
    pendingAppointments: scheduled,
    todayRevenue: dollars(row.collected_cents),
  };
}
