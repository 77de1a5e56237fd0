/** Shapes of the analytics of message templates; names are the page's own (camelCase). */
import { z } from 'zod';
import { Day, Instant, QueryBoolean } from './common.schema';

/** Days of the ranges that can be asked for. */
export const RANGE_DAYS = { '7d': 7, '30d': 30, '90d': 90, '180d': 180 } as const;
const LIMIT_MAX = 200;

export const TemplateAnalyticsQuery = z.object({
  range: z.enum(['7d', '30d', '90d', '180d']).default('30d'),
  granularity: z.enum(['day', 'week']).optional().meta({ description: 'Default day; week for more than 90 days' }),
  channel: z.enum(['sms', 'email', 'all']).default('all'),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(50),
  include: z
    .string()
    .regex(/^[\w, -]{0,200}$/)
    .optional()
    .meta({ description: 'Accepted for older clients; the reply always has all parts' }),
  flush: QueryBoolean.optional().meta({ description: 'Have it computed, not taken from the cache' }),
});
export type TemplateAnalyticsQuery = z.output<typeof TemplateAnalyticsQuery>;

const Count = z.int().min(0);
const Share = z.number().min(0).max(1);
const Channel = z.object({ events: Count, pct: Share });
const Trend = z.array(z.object({ bucketStart: Day, count: Count }));

export const TemplateAnalytics = z
  .object({
    range: z.object({ from: Instant, to: Instant, granularity: z.enum(['day', 'week']) }),
    filters: z.object({ channel: z.enum(['sms', 'email', 'all']), limit: Count }),
    totals: z.object({
      events: Count,
      uniqueTemplates: Count,
      uniqueUsers: Count,
      uniqueCustomers: Count,
      byChannel: z.object({ sms: Channel, email: Channel }),
    }),
    trend: Trend,
    channelTrend: z.array(z.object({ bucketStart: Day, sms: Count, email: Count })),
    templates: z.array(
      z.object({
        templateId: z.uuid(),
        name: z.string(),
        channel: z.enum(['sms', 'email', 'mixed']),
        totalCount: Count,
        uniqueUsers: Count,
        uniqueCustomers: Count,
        lastUsedAt: Instant,
        firstUsedAt: Instant,
        trendSlice: Trend,
        pctOfTotal: Share,
        channels: z.partialRecord(z.enum(['sms', 'email']), Count),
      }),
    ),
    usageSummary: z.object({
      topTemplates: z.array(z.object({ templateId: z.uuid(), count: Count })),
      topUsers: z.array(z.object({ userId: z.string(), count: Count })),
    }),
    meta: z.object({ generatedAt: Instant, cache: z.object({ hit: z.boolean() }), version: z.literal(1) }),
  })
  .meta({ id: 'TemplateAnalytics' });
