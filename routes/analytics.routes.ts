/** The dashboard's figures and the analytics. All of them may be answered from a replica but the dashboard, which follows every write. */
import { jobsOf, presentDashboard, rateOf } from '../presenters/analytics.presenter';
import {
  AnalyticsQuery,
  AppointmentAnalytics,
  CacheEfficiency,
  CarsOnPremises,
  CustomerAnalytics,
  DashboardAnalytics,
  DashboardStats,
  RevenueAnalytics,
  StatsQuery,
} from '../schemas/analytics.schema';
import { TemplateAnalytics, TemplateAnalyticsQuery } from '../schemas/template-analytics.schema';
import {
  appointmentAnalytics,
  carsOnPremises,
  customerAnalytics,
  dashboardAnalytics,
  dashboardStats,
  revenueAnalytics,
} from '../services/analytics.service';
import { cacheEfficiency } from '../services/cache-efficiency.service';
import { templateAnalytics } from '../services/template-analytics.service';
import { badQuery } from './bad-query';
import { type Endpoint, endpoint, JsonText, type ReplyCache, STAFF_READ } from './endpoint';

/** Dashboard and analytics are of the shop, not of who asks. A minute old at most, where time itself changes the figures. */
const kept = (...reads: ReplyCache['reads']): ReplyCache => ({ reads, freshSeconds: 60, sharedByRole: true });
const NOT_KEPT = '"cache":{"hit":false}';

const forbidden = { message: 'Insufficient permissions. Required role: Advisor' };
const dashboard = { method: 'get', tag: 'Dashboard', allow: STAFF_READ, forbidden, mirror: 'all', queries: 1 } as const;

const analytics = {
  method: 'get',
  tag: 'Analytics',
  allow: STAFF_READ,
  query: AnalyticsQuery,
  invalid: badQuery,
  queries: 1,
  replica: true,
} as const;

export const analyticsEndpoints: readonly Endpoint[] = [
  endpoint({
    ...dashboard,
    path: '/api/admin/dashboard/stats',
    id: 'readDashboardStats',
    summary: 'Counts and sums of a window, default today',
    query: StatsQuery,
    invalid: badQuery,
    reply: [200, DashboardStats],
    // Nothing in it changes by time alone but the day, which is in the key.
    cache: { ...kept('appointments', 'appointment_services', 'invoices', 'payments'), staleSeconds: 240 },
    handle: async ({ query }) => presentDashboard(await dashboardStats(query)),
  }),
  endpoint({
    ...dashboard,
    path: '/api/admin/cars-on-premises',
    id: 'listCarsOnPremises',
    summary: 'The cars that have arrived and not left, longest first',
    reply: [200, CarsOnPremises],
    cache: { ...kept('appointments', 'vehicles', 'customers'), staleSeconds: 240 },
    handle: async () => new JsonText(`{"cars_on_premises":${await carsOnPremises()}}`),
  }),
  endpoint({
    ...analytics,
    path: '/api/admin/analytics/dashboard',
    id: 'readDashboardAnalytics',
    importance: 'background',
    summary: 'The dashboard over a range of days, with revenue, rates and top services',
    reply: [200, DashboardAnalytics],
    cache: kept('appointments', 'appointment_services', 'customers', 'invoices', 'payments', 'service_operations'),
    queries: 2,
    handle: async ({ query }) => {
      const { period, stats, details } = await dashboardAnalytics(query);
      const jobs = jobsOf(stats);
      const head = {
        range: period,
        ...presentDashboard(stats),
        revenue_cents: stats.collected_cents,
        appointments_total: stats.total,
        completion_rate: rateOf(stats.completed, jobs),
        no_show_rate: rateOf(stats.no_show, jobs),
      };
      return new JsonText(`${JSON.stringify(head).slice(0, -1)},${details.slice(1)}`);
    },
  }),
  endpoint({
    ...analytics,
    path: '/api/admin/analytics/revenue',
    id: 'readRevenueAnalytics',
    importance: 'background',
    summary: 'What was invoiced and what was received',
    reply: [200, RevenueAnalytics],
    cache: kept('invoices', 'payments'),
    handle: async ({ query }) => new JsonText(await revenueAnalytics(query)),
  }),
  endpoint({
    ...analytics,
    path: '/api/admin/analytics/appointments',
    id: 'readAppointmentAnalytics',
    importance: 'background',
    summary: 'Appointments by status, time, technician and weekday',
    reply: [200, AppointmentAnalytics],
    cache: kept('appointments', 'technicians'),
    handle: async ({ query }) => new JsonText(await appointmentAnalytics(query)),
  }),
  endpoint({
    ...analytics,
    path: '/api/admin/analytics/customers',
    id: 'readCustomerAnalytics',
    importance: 'background',
    summary: 'Visitors, newcomers and the best customers',
    reply: [200, CustomerAnalytics],
    cache: kept('appointments', 'customers'),
    handle: async ({ query }) => new JsonText(await customerAnalytics(query)),
  }),
  endpoint({
    ...analytics,
    path: '/api/admin/analytics/templates',
    id: 'readTemplateAnalytics',
    importance: 'background',
    summary: 'How message templates are used, by time, channel, template and user',
    query: TemplateAnalyticsQuery,
    reply: [200, TemplateAnalytics],
    cache: {
      ...kept('appointments', 'message_templates', 'template_usage_events'),
      isBypassed: ({ flush }: TemplateAnalyticsQuery) => flush === true,
      asHit: (json) => {
        const at = json.lastIndexOf(NOT_KEPT);
        return `${json.slice(0, at)}"cache":{"hit":true}${json.slice(at + NOT_KEPT.length)}`;
      },
    },
    mirror: 'all',
    handle: async ({ query }) => new JsonText(await templateAnalytics(query)),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/metrics/304-efficiency',
    id: 'readCacheEfficiency',
    importance: 'background',
    summary: 'How often profile pages were answered 304, by the whole cluster since its start',
    tag: 'Analytics',
    allow: ['Owner'],
    forbidden: { message: 'Insufficient permissions. Required role: Owner' },
    reply: [200, CacheEfficiency],
    mirror: 'all',
    queries: 0,
    handle: () => cacheEfficiency(),
  }),
];
