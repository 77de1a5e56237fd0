/**
 * How message templates are used, in one statement. The events of the range are read once by their index; every count is
 * taken from them. Values: `$1` tenant, `$2` time zone, `$3`, `$4` half-open range, `$5` granularity, `$6`, `$7` first and
 * last day, `$8` channel or null for both, `$9` templates at most.
 */
import type { Sql } from '../lib/db';
import { BUCKET_START, BUCKETS, bucketOf, inRange } from './analytics.queries';

const TOP = 10;
const OF = (channel: 'sms' | 'email'): string => `count(*) FILTER (WHERE channel = '${channel}')`;
/** Share of all events, four decimals; 0 of nothing. */
const shareOf = (count: string): string => `coalesce(round(${count}::numeric / nullif((SELECT count(*) FROM events), 0), 4), 0)`;

/** One row with `json`: an object of totals, trends, templates and summary. */
export const TEMPLATE_ANALYTICS: Sql = {
  name: 'analytics_templates',
  text: `WITH ${BUCKETS},
    events AS MATERIALIZED (SELECT e.template_id, e.channel, e.user_id, e.sent_at, ${bucketOf('e.sent_at')} AS at, a.customer_id
      FROM template_usage_events e LEFT JOIN appointments a ON a.tenant_id = $1 AND a.id = e.appointment_id
      WHERE e.tenant_id = $1 AND ${inRange('e.sent_at')} AND ($8::text IS NULL OR e.channel = $8::text)),
    used AS MATERIALIZED (SELECT e.template_id, count(*) AS count, count(DISTINCT e.user_id) AS users, count(DISTINCT e.customer_id) AS customers,
        min(e.sent_at) AS first_at, max(e.sent_at) AS last_at, ${OF('sms')} AS sms, ${OF('email')} AS email
      FROM events e GROUP BY e.template_id ORDER BY count DESC, last_at DESC, e.template_id LIMIT $9::int),
    slices AS MATERIALIZED (SELECT template_id, at, count(*) AS count FROM events GROUP BY template_id, at),
    daily AS MATERIALIZED (SELECT at, count(*) AS count, ${OF('sms')} AS sms, ${OF('email')} AS email FROM events GROUP BY at)
    SELECT json_build_object(
      'totals', (SELECT json_build_object('events', count(*), 'uniqueTemplates', count(DISTINCT template_id), 'uniqueUsers', count(DISTINCT user_id),
          'uniqueCustomers', count(DISTINCT customer_id), 'byChannel', json_build_object(
            'sms', json_build_object('events', ${OF('sms')}, 'pct', ${shareOf(OF('sms'))}),
            'email', json_build_object('events', ${OF('email')}, 'pct', ${shareOf(OF('email'))}))) FROM events),
      'trend', (SELECT json_agg(json_build_object(${BUCKET_START}, 'count', coalesce(d.count, 0)) ORDER BY b.at)
        FROM buckets b LEFT JOIN daily d ON d.at = b.at),
      'channelTrend', (SELECT json_agg(json_build_object(${BUCKET_START}, 'sms', coalesce(d.sms, 0), 'email', coalesce(d.email, 0)) ORDER BY b.at)
        FROM buckets b LEFT JOIN daily d ON d.at = b.at),
      'templates', coalesce((SELECT json_agg(json_build_object('templateId', u.template_id, 'name', t.label,
          'channel', CASE WHEN u.email = 0 THEN 'sms' WHEN u.sms = 0 THEN 'email' ELSE 'mixed' END,
          'totalCount', u.count, 'uniqueUsers', u.users, 'uniqueCustomers', u.customers,
          'lastUsedAt', iso_utc(u.last_at), 'firstUsedAt', iso_utc(u.first_at),
          'trendSlice', (SELECT json_agg(json_build_object(${BUCKET_START}, 'count', coalesce(s.count, 0)) ORDER BY b.at)
            FROM buckets b LEFT JOIN slices s ON s.template_id = u.template_id AND s.at = b.at),
          'pctOfTotal', ${shareOf('u.count')},
          'channels', json_strip_nulls(json_build_object('sms', nullif(u.sms, 0), 'email', nullif(u.email, 0))))
          ORDER BY u.count DESC, u.last_at DESC, u.template_id)
        FROM used u JOIN message_templates t ON t.tenant_id = $1 AND t.id = u.template_id), '[]'),
      'usageSummary', json_build_object(
        'topTemplates', coalesce((SELECT json_agg(json_build_object('templateId', template_id, 'count', count) ORDER BY count DESC, last_at DESC, template_id)
          FROM (SELECT * FROM used ORDER BY count DESC, last_at DESC, template_id LIMIT ${TOP}) u), '[]'),
        'topUsers', coalesce((SELECT json_agg(json_build_object('userId', user_id, 'count', count) ORDER BY count DESC, user_id)
          FROM (SELECT user_id, count(*) AS count FROM events GROUP BY user_id ORDER BY count DESC, user_id LIMIT ${TOP}) u), '[]'))
    )::text AS json`,
};
