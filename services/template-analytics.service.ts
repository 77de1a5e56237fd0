/** How the shop's message templates are used. */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { addDays, dayOf, startOfDay } from '../lib/days';
import { query } from '../lib/db';
import { TEMPLATE_ANALYTICS } from '../models/template-analytics.queries';
import { RANGE_DAYS, type TemplateAnalyticsQuery } from '../schemas/template-analytics.schema';

/** Ranges longer than this are shown by weeks unless days are asked for. */
const DAILY_MAX_DAYS = 90;

/** JSON text of the report: whole days of the shop, the last of them today so far. */
export async function templateAnalytics({ range, granularity, channel, limit }: TemplateAnalyticsQuery): Promise<string> {
  const { id, timeZone } = tenant();
  const now = clock.now();
  const days = RANGE_DAYS[range];
  const [first, last] = [addDays(dayOf(now, timeZone), 1 - days), dayOf(now, timeZone)];
  const step = granularity ?? (days > DAILY_MAX_DAYS ? 'week' : 'day');
  // An event of this very millisecond belongs to it.
  const [from, to] = [startOfDay(first, timeZone), new Date(now.getTime() + 1)];
  const wanted = channel === 'all' ? null : channel;
  const [row] = await query<{ json: string }>(TEMPLATE_ANALYTICS, [id, timeZone, from, to, step, first, last, wanted, limit]);
  if (!row) throw new Error('The analytics of templates have no row');
  const head = JSON.stringify({ range: { from, to: now, granularity: step }, filters: { channel, limit } });
  const meta = JSON.stringify({ generatedAt: now, cache: { hit: false }, version: 1 });
  return `${head.slice(0, -1)},${row.json.slice(1, -1)},"meta":${meta}}`;
}
