/** Shapes of the dashboard's figures and of the analytics. Names are those the screens read, so some are camelCase. */
import { z } from 'zod';
import { AppointmentStatus } from './appointments.schema';
import { Day, Instant } from './common.schema';
import { queryText } from './fields.schema';

export const GRANULARITIES = ['day', 'week', 'month'] as const;
export type Granularity = (typeof GRANULARITIES)[number];

// ------------------------------------------------------------------ requests

const From = queryText().meta({ description: 'First day (YYYY-MM-DD) of the shop', examples: ['2026-11-01'] });
const To = queryText().meta({ description: 'Last day (YYYY-MM-DD) of the shop', examples: ['2026-11-30'] });

export const StatsQuery = z.object({ from: From, to: To });
export type StatsQuery = z.output<typeof StatsQuery>;

export const AnalyticsQuery = z.object({ from: From, to: To, granularity: z.enum(GRANULARITIES).default('day') });
export type AnalyticsQuery = z.output<typeof AnalyticsQuery>;

// ------------------------------------------------------------------ replies

const Count = z.int().min(0);
const Cents = z.int();
/** 0 to 1; null where there is nothing to divide by. */
const Rate = z.number().min(0).max(1).nullable();
const Text = z.string().nullable();

const STATS = {
  /** Appointments that begin in the window and were not called off. */
  jobsToday: Count,
  /** Cars that have arrived and not left, whatever the window. */
  carsOnPremises: Count,
  scheduled: Count,
  inProgress: Count,
  ready: Count,
  completed: Count,
  noShow: Count,
  /** Dollars owed for work that has begun, whatever the window. */
  unpaidTotal: z.number().min(0),
  today_completed: Count,
  totals: z.object({
    today_completed: Count,
    today_booked: Count,
    /** Hours from start to completion, mean. */
    avg_cycle: z.number().nullable(),
    avg_cycle_formatted: z.string(),
  }),
  completedToday: Count,
  pendingAppointments: Count,
  /** Dollars received in the window. */
  todayRevenue: z.number(),
};
export const DashboardStats = z.object(STATS).meta({ id: 'DashboardStats' });
export type DashboardStats = z.output<typeof DashboardStats>;

export const CarsOnPremises = z
  .object({
    cars_on_premises: z.array(
      z.object({
        /** Of the appointment. */
        id: z.string(),
        make: Text,
        model: Text,
        owner: Text,
        arrivalTime: Instant,
        status: AppointmentStatus,
        pickupTime: Instant.nullable(),
      }),
    ),
  })
  .meta({ id: 'CarsOnPremises' });

const Range = z.object({ from: Day, to: Day, granularity: z.enum(GRANULARITIES) });
const bucket = <T extends z.ZodRawShape>(shape: T) =>
  z.array(z.object({ /** First day of the bucket; a week begins on Monday. */ bucketStart: Day, ...shape }));

export const DashboardAnalytics = z
  .object({
    range: Range,
    ...STATS,
    revenue_cents: Cents,
    outstanding_cents: Cents,
    appointments_total: Count,
    completion_rate: Rate,
    no_show_rate: Rate,
    new_customers: Count,
    top_services: z.array(z.object({ service_operation_id: Text, name: z.string(), count: Count, revenue_cents: Cents })),
  })
  .meta({ id: 'DashboardAnalytics' });

export const RevenueAnalytics = z
  .object({
    range: Range,
    totals: z.object({
      invoiced_cents: Cents,
      collected_cents: Cents,
      outstanding_cents: Cents,
      voided_cents: Cents,
      average_invoice_cents: Cents,
    }),
    trend: bucket({ invoiced_cents: Cents, collected_cents: Cents }),
    by_method: z.array(z.object({ method: z.string(), amount_cents: Cents, count: Count })),
  })
  .meta({ id: 'RevenueAnalytics' });

export const AppointmentAnalytics = z
  .object({
    range: Range,
    totals: z.object({ total: Count, by_status: z.record(AppointmentStatus, Count), avg_cycle_hours: z.number().nullable() }),
    trend: bucket({ count: Count, completed: Count }),
    by_technician: z.array(z.object({ tech_id: z.uuid().nullable(), name: z.string(), count: Count, completed: Count })),
    /** Monday first. */
    by_weekday: z.array(Count).length(7),
  })
  .meta({ id: 'AppointmentAnalytics' });

export const CustomerAnalytics = z
  .object({
    range: Range,
    totals: z.object({
      /** Customers who visited in the range. */
      customers: Count,
      /** Customers registered in the range. */
      new: Count,
      /** Those of `customers` for whom it was not the first visit. */
      returning: Count,
      repeat_rate: Rate,
    }),
    trend: bucket({ new: Count }),
    top: z.array(z.object({ customer_id: z.string(), name: z.string(), visits: Count, revenue_cents: Cents })),
  })
  .meta({ id: 'CustomerAnalytics' });

const Efficiency = z.object({
  /** Times the page was asked for and could be answered. */
  total: Count,
  /** Of these, how often the caller's copy was still good. */
  hits_304: Count,
  /** 0 to 100, two decimals; null before the first request. */
  efficiency_pct: z.number().min(0).max(100).nullable(),
});
export const CacheEfficiency = z
  .object({ routes: z.object({ '/api/customer/profile': Efficiency, '/api/vehicle/profile': Efficiency }) })
  .meta({ id: 'CacheEfficiency' });
export type CacheEfficiency = z.output<typeof CacheEfficiency>;
