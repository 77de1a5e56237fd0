/** Analytics of message templates: counted again by hand over random events, in a shop far from UTC. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { clock } from '../../lib/clock';
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countWarmStatements } from '../support/warm-statements';

const PATH = '/api/admin/analytics/templates';
const DAY_MS = 86_400_000;

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});

interface Event {
  template: number;
  channel: 'sms' | 'email';
  user: string;
  appointment: number | null;
  /** Minutes before now. */
  ago: number;
}
const Event = fc.record({
  template: fc.nat(3),
  channel: fc.constantFrom('sms' as const, 'email' as const),
  user: fc.constantFrom('ana', 'ben', 'cleo'),
  appointment: fc.option(fc.nat(3), { nil: null }),
  ago: fc.integer({ min: 0, max: 45 * 1_440 }),
});

interface Shop {
  tenant: Tenant;
  agent: Agent;
  templates: string[];
  /** Two appointments for each of two customers. */
  customers: number[];
}

async function createShop(events: readonly Event[], now: number): Promise<Shop> {
  const tenant = await createTenant({ timeZone: 'Pacific/Auckland' });
  const agent = await actAs(app, await createStaff({ tenant, role: 'Accountant' }));
  const owners = [await createCustomer({ tenant }), await createCustomer({ tenant })] as const;
  const visits = [];
  for (let index = 0; index < 4; index += 1)
    visits.push(
      await createAppointment({ tenant, customer: owners[index % 2] as (typeof owners)[0], start: new Date(now + index * DAY_MS) }),
    );
  const templates = Array.from({ length: 4 }, () => randomUUID());
  for (const [index, id] of templates.entries())
    await admin(`INSERT INTO message_templates (tenant_id, id, slug, label, channel, body) VALUES ($1, $2, $3, $4, 'sms', 'Hello')`, [
      tenant.id,
      id,
      `template-${index}`,
      `Template ${index}`,
    ]);
  for (const { template, channel, user, appointment, ago } of events)
    await admin(
      `INSERT INTO template_usage_events (tenant_id, template_id, channel, appointment_id, user_id, sent_at, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
      [
        tenant.id,
        templates[template],
        channel,
        appointment === null ? null : visits[appointment]?.id,
        user,
        new Date(now - ago * 60_000),
        randomUUID(),
      ],
    );
  return { tenant, agent, templates, customers: visits.map((_, index) => (owners[index % 2] as { id: number }).id) };
}

const dayIn = (timeZone: string, at: number): string =>
  new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(at);
const shift = (day: string, days: number): string => new Date(Date.parse(day) + days * DAY_MS).toISOString().slice(0, 10);
const mondayOf = (day: string): string => shift(day, -((new Date(day).getUTCDay() + 6) % 7));
const unique = (values: unknown[]): number => new Set(values.filter((value) => value !== null)).size;

const stepOf = ({ range, granularity }: { range: string; granularity?: string | undefined }): string =>
  granularity ?? (Number.parseInt(range, 10) > 90 ? 'week' : 'day');

/** Today, and days after changes of the clocks in the shop's zone. */
const Now = fc.constantFrom(null, '2026-04-20T09:00:00Z', '2026-10-20T23:30:00Z');

test('every count equals one by hand, for random events, ranges, granularities and channels', async () => {
  const Wanted = fc.record({
    range: fc.constantFrom('7d', '30d', '90d', '180d'),
    granularity: fc.constantFrom(undefined, 'day', 'week'),
    channel: fc.constantFrom('all', 'sms', 'email'),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(Event, { maxLength: 40 }),
      // The same again would come from the cache.
      fc.uniqueArray(Wanted, {
        minLength: 3,
        maxLength: 3,
        selector: (wanted) => JSON.stringify({ ...wanted, granularity: stepOf(wanted) }),
      }),
      Now,
      async (events, asked, instant) => {
        const now = instant === null ? Date.now() : Date.parse(instant);
        const { tenant, agent, templates, customers } = await createShop(events, now);
        for (const wanted of asked) {
          const restore = clock.override(() => new Date(now));
          const { status, body } = await agent.get(PATH).query(wanted);
          restore();
          expect([status, body.error]).toEqual([200, null]);
          const days = Number.parseInt(wanted.range, 10);
          const step = stepOf(wanted);
          const today = dayIn(tenant.timeZone, now);
          const [first, bucketOf] = [shift(today, 1 - days), (day: string) => (step === 'week' ? mondayOf(day) : day)];
          const found = events
            .map((event) => ({ ...event, at: now - event.ago * 60_000, day: dayIn(tenant.timeZone, now - event.ago * 60_000) }))
            .filter(({ day, channel }) => day >= first && (wanted.channel === 'all' || channel === wanted.channel));
          const buckets = new Set<string>();
          for (let day = first; day <= today; day = shift(day, 1)) buckets.add(bucketOf(day));
          const trendOf = (list: typeof found) =>
            [...buckets].map((bucketStart) => ({ bucketStart, count: list.filter(({ day }) => bucketOf(day) === bucketStart).length }));
          const of = (channel: string, list = found) => list.filter((one) => one.channel === channel);
          const customerOf = ({ appointment }: Event) => (appointment === null ? null : customers[appointment]);
          const share = (count: number) => expect.closeTo(found.length === 0 ? 0 : count / found.length, 4);
          const ranked = templates
            .map((templateId, index) => ({ templateId, index, mine: found.filter(({ template }) => template === index) }))
            .filter(({ mine }) => mine.length > 0)
            .sort(
              (a, b) =>
                b.mine.length - a.mine.length ||
                Math.max(...b.mine.map(({ at }) => at)) - Math.max(...a.mine.map(({ at }) => at)) ||
                (a.templateId < b.templateId ? -1 : 1),
            );
          const users = ['ana', 'ben', 'cleo']
            .map((userId) => ({ userId, count: found.filter(({ user }) => user === userId).length }))
            .filter(({ count }) => count > 0)
            .sort((a, b) => b.count - a.count || (a.userId < b.userId ? -1 : 1));
          expect(body.data).toEqual({
            range: { from: expect.any(String), to: expect.any(String), granularity: step },
            filters: { channel: wanted.channel, limit: 50 },
            totals: {
              events: found.length,
              uniqueTemplates: ranked.length,
              uniqueUsers: unique(found.map(({ user }) => user)),
              uniqueCustomers: unique(found.map(customerOf)),
              byChannel: {
                sms: { events: of('sms').length, pct: share(of('sms').length) },
                email: { events: of('email').length, pct: share(of('email').length) },
              },
            },
            trend: trendOf(found),
            channelTrend: [...buckets].map((bucketStart) => ({
              bucketStart,
              sms: of('sms').filter(({ day }) => bucketOf(day) === bucketStart).length,
              email: of('email').filter(({ day }) => bucketOf(day) === bucketStart).length,
            })),
            templates: ranked.map(({ templateId, index, mine }) => {
              const [sms, email] = [of('sms', mine).length, of('email', mine).length];
              return {
                templateId,
                name: `Template ${index}`,
                channel: sms === 0 ? 'email' : email === 0 ? 'sms' : 'mixed',
                totalCount: mine.length,
                uniqueUsers: unique(mine.map(({ user }) => user)),
                uniqueCustomers: unique(mine.map(customerOf)),
                lastUsedAt: new Date(Math.max(...mine.map(({ at }) => at))).toISOString(),
                firstUsedAt: new Date(Math.min(...mine.map(({ at }) => at))).toISOString(),
                trendSlice: trendOf(mine),
                pctOfTotal: share(mine.length),
                channels: { ...(sms > 0 ? { sms } : {}), ...(email > 0 ? { email } : {}) },
              };
            }),
            usageSummary: { topTemplates: ranked.map(({ templateId, mine }) => ({ templateId, count: mine.length })), topUsers: users },
            meta: { generatedAt: expect.any(String), cache: { hit: false }, version: 1 },
          });
        }
      },
    ),
    { numRuns: 6, endOnFailure: true },
  );
});

test('no event at all › the full shape, repeated at the root except meta', async () => {
  const { agent, tenant } = await createShop([], Date.now());
  const { body } = await agent.get(PATH);
  expect(body.totals).toEqual({
    events: 0,
    uniqueTemplates: 0,
    uniqueUsers: 0,
    uniqueCustomers: 0,
    byChannel: { sms: { events: 0, pct: 0 }, email: { events: 0, pct: 0 } },
  });
  expect([body.trend.length, body.templates, body.usageSummary]).toEqual([30, [], { topTemplates: [], topUsers: [] }]);
  const { meta, ...rest } = body.data;
  expect(body).toMatchObject(rest);
  expect([meta.version, body.meta.version]).toEqual([1, undefined]);
  const first = shift(dayIn(tenant.timeZone, Date.now()), -29);
  expect([dayIn(tenant.timeZone, Date.parse(body.range.from)), body.trend[0].bucketStart]).toEqual([first, first]);
});

test('limit › cuts the templates, not the totals; by one statement', async () => {
  const events = [0, 0, 0, 1, 1, 2].map((template): Event => ({ template, channel: 'sms', user: 'ana', appointment: 0, ago: 5 }));
  const { agent, templates } = await createShop(events, Date.now());
  const { result, statements } = await countWarmStatements(() => agent.get(PATH).query({ limit: 2 }));
  expect(result.body.templates.map(({ templateId }: { templateId: string }) => templateId)).toEqual(templates.slice(0, 2));
  expect([result.body.totals.events, result.body.totals.uniqueTemplates, statements.length]).toEqual([6, 3, 1]);
});

test.each([
  ['range', '5d'],
  ['granularity', 'month'],
  ['channel', 'fax'],
  ['limit', '0'],
  ['limit', '201'],
  ['limit', 'many'],
  ['include', '<script>'],
])('%s=%s › 400, the parameter named', async (name, value) => {
  const { agent } = await createShop([], Date.now());
  const { status, body } = await agent.get(PATH).query({ [name]: value });
  expect([status, body.error]).toEqual([400, { code: 'bad_request', message: `Invalid '${name}' parameter` }]);
});

test('include and flush › accepted', async () => {
  const { agent } = await createShop([], Date.now());
  expect((await agent.get(PATH).query({ include: 'trend,templates', flush: '1' })).status).toBe(200);
});
