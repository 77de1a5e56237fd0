/** Threads, templates, counted uses and what the SMS provider sends, through the HTTP API. */
import '../support/sms-environment';
import { randomUUID } from 'node:crypto';
import { smsSignature } from '../../lib/sms';
import { admin } from '../support/database';
import {
  type Appointment,
  type Customer,
  createAppointment,
  createCustomer,
  createStaff,
  createTenant,
  type Tenant,
} from '../support/factories';
import { type Agent, loginWithCookies, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const TOKEN = process.env['SMS_TOKEN'] as string;
let app: TestApp;
let shop: Tenant;
let advisor: Agent;
let owner: Agent;

beforeAll(async () => {
  app = await startApp();
  shop = await createTenant();
  ({ agent: advisor } = await loginWithCookies(app, await createStaff({ tenant: shop })));
  owner = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
});

async function visit(
  tenant = shop,
  columns: Record<string, unknown> = {},
): Promise<{ customer: Customer; appointment: Appointment; path: string }> {
  const customer = await createCustomer({ tenant, columns });
  const appointment = await createAppointment({ tenant, customer });
  return { customer, appointment, path: `/api/appointments/${appointment.id}/messages` };
}
const row = async (id: string) => (await admin<Record<string, unknown>>('SELECT * FROM messages WHERE id = $1', [id]))[0];
const jobOf = (id: string) => admin('SELECT payload FROM graphile_worker._private_jobs WHERE key = $1', [`message.send:${id}`]);

describe('/api/appointments/:id/messages', () => {
  test('POST with a cookie session › 201 at root and data, row, job and audit without the text; then in the thread', async () => {
    const { appointment, path, customer } = await visit();
    const { status, body } = await advisor
      .post(path)
      .send({ channel: 'SMS', body: 'Your car is next.', template_id: 'none_such', variables_used: ['a'] });
    expect([status, body.status, body.id]).toEqual([201, 'sending', body.data.id]);
    expect(await row(body.id)).toMatchObject({
      channel: 'sms',
      direction: 'out',
      status: 'sending',
      customer_id: String(customer.id),
      template_id: null,
    });
    expect(await jobOf(body.id)).toHaveLength(1);
    const audits = await admin<{ after: object }>(`SELECT after FROM audit_logs WHERE entity_id = $1 AND action = 'MESSAGE_SEND'`, [
      body.id,
    ]);
    expect(audits).toEqual([{ after: { appointment_id: String(appointment.id), channel: 'sms', template: null } }]);
    const thread = await advisor.get(path);
    expect(thread.body.messages).toEqual(thread.body.data.messages);
    expect(thread.body.messages).toEqual([
      {
        id: body.id,
        appointment_id: String(appointment.id),
        channel: 'sms',
        direction: 'out',
        body: 'Your car is next.',
        status: 'sending',
        sent_at: expect.stringMatching(/Z$/),
      },
    ]);
  });

  test.each([
    [{ channel: 'fax', body: 'x' }, 'validation_failed', "Channel must be 'sms' or 'email'"],
    [{ body: 'x' }, 'validation_failed', "Channel must be 'sms' or 'email'"],
    [{ channel: 'sms', body: ' \n' }, 'validation_failed', 'Message body is required'],
    [{ channel: 'sms' }, 'validation_failed', 'Message body is required'],
    [{ channel: 'sms', body: 'x'.repeat(1601) }, 'validation_failed', 'Validation failed'],
  ])('POST %j › 400', async (sent, code, message) => {
    const { path } = await visit();
    const { status, body } = await advisor.post(path).send(sent);
    expect([status, body.error.code, body.error.message]).toEqual([400, code, message]);
  });

  test('opted out › 400 for a text, 201 for mail; without number or address › 400 missing_recipient; nothing stored', async () => {
    const quiet = await visit(shop, { sms_opt_out: true });
    expect((await advisor.post(quiet.path).send({ channel: 'sms', body: 'x' })).body.error.code).toBe('sms_opted_out');
    expect((await advisor.post(quiet.path).send({ channel: 'email', body: 'x' })).status).toBe(201);
    const bare = await visit(shop, { phone: '12', email: null });
    for (const channel of ['sms', 'email'])
      expect((await advisor.post(bare.path).send({ channel, body: 'x' })).body.error.code).toBe('missing_recipient');
    expect(await admin('SELECT 1 FROM messages WHERE appointment_id = $1', [bare.appointment.id])).toEqual([]);
  });

  test('reading › everybody on the staff; writing › owner and advisor, with their words', async () => {
    const { path } = await visit();
    for (const role of ['Accountant', 'Technician'] as const) {
      const agent = await actAs(app, await createStaff({ tenant: shop, role }));
      expect((await agent.get(path)).status).toBe(200);
      const refused = await agent.post(path).send({ channel: 'sms', body: 'x' });
      expect([refused.status, refused.body.error.code, refused.body.error.message]).toEqual([
        403,
        'rbac_forbidden',
        'Only Owner or Advisor can create messages',
      ]);
      expect((await agent.delete(`${path}/x`)).body.error.message).toBe('Only Owner or Advisor can modify messages');
    }
    expect((await advisor.get('/api/appointments/999999/messages')).body.error.message).toBe('Appointment not found');
  });

  test('20 in a day to one customer, also at once › the 21st is 429 with Retry-After; another customer is not concerned', async () => {
    const { path, appointment, customer } = await visit();
    await admin(
      `INSERT INTO messages (tenant_id, appointment_id, customer_id, channel, direction, status, body, created_at)
        SELECT $1, $2, $3, 'sms', 'out', 'delivered', 'x', now() - interval '2 hours' FROM generate_series(1, 17)`,
      [shop.id, appointment.id, customer.id],
    );
    const answers = await Promise.all(Array.from({ length: 6 }, () => owner.post(path).send({ channel: 'sms', body: 'x' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 429, 429, 429]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.body.error).toMatchObject({ code: 'rate_limited', message: 'Rate limit exceeded' });
    const wait = Number(refused?.headers['retry-after']);
    expect(wait).toBeGreaterThan(21.9 * 3600);
    expect(wait).toBeLessThanOrEqual(22 * 3600);
    expect((await owner.post((await visit()).path).send({ channel: 'sms', body: 'x' })).status).toBe(201);
  });

  test('200 in an hour of one shop › 429', async () => {
    const busy = await createTenant();
    const agent = await actAs(app, await createStaff({ tenant: busy }));
    const { path, appointment } = await visit(busy);
    await admin(
      `INSERT INTO messages (tenant_id, appointment_id, channel, direction, status, body, created_at)
        SELECT $1, $2, 'sms', 'out', 'delivered', 'x', now() - interval '10 minutes' FROM generate_series(1, 199)`,
      [busy.id, appointment.id],
    );
    const statuses = [
      await agent.post(path).send({ channel: 'sms', body: 'x' }),
      await agent.post(path).send({ channel: 'sms', body: 'x' }),
    ];
    expect(statuses.map(({ status }) => status)).toEqual([201, 429]);
  });

  test('DELETE › an unsent one is gone, one that was handed over is hidden; PATCH › only failed', async () => {
    const { path } = await visit();
    const send = async () => (await advisor.post(path).send({ channel: 'sms', body: 'x' })).body.id as string;
    const [unsent, handed, marked] = [await send(), await send(), await send()];
    await admin('UPDATE messages SET handed_at = now() WHERE id = $1', [handed]);
    for (const id of [unsent, handed]) expect((await advisor.delete(`${path}/${id}`)).status).toBe(204);
    expect(await row(unsent)).toBeUndefined();
    expect((await row(handed))?.['deleted_at']).not.toBeNull();
    expect((await advisor.delete(`${path}/${handed}`)).body.error.message).toBe('Message not found');
    expect((await advisor.patch(`${path}/${marked}`).send({ status: 'lost' })).body.error.code).toBe('validation_failed');
    expect((await advisor.patch(`${path}/${marked}`).send({ status: 'delivered' })).status).toBe(409);
    expect((await advisor.patch(`${path}/${marked}`).send({ status: 'failed' })).body.data).toEqual({ id: marked, status: 'failed' });
    expect((await advisor.get(path)).body.messages).toHaveLength(1);
  });
});

describe('/api/admin/message-templates', () => {
  const base = '/api/admin/message-templates';
  const create = (slug: string, more: object = {}) =>
    owner.post(base).send({ slug, label: 'Label', channel: 'sms', body: 'Hi {{ customer.name | you }}', ...more });

  test('create, read by id and slug, change, retire, delete › variables follow the body; audited', async () => {
    const { status, body } = await create('hello-1', { body: String.raw`{{ b.c }} {{a|x}} \{{ no }} {{b.c}} {{ bad-path }}` });
    expect([status, body.data.variables, body.data.is_active]).toEqual([201, ['a', 'b.c'], true]);
    for (const key of [body.data.id, 'hello-1']) expect((await advisor.get(`${base}/${key}`)).body.data).toEqual(body.data);
    const changed = await owner.patch(`${base}/hello-1`).send({ body: '{{ z }}', category: 'greetings' });
    expect([changed.status, changed.body.data.variables, changed.body.data.category]).toEqual([200, ['z'], 'greetings']);
    expect((await owner.delete(`${base}/hello-1`)).body.data).toEqual({ deleted: true, soft: true });
    const list = async (query = '') =>
      (await advisor.get(`${base}${query}`)).body.data.message_templates.map(({ slug }: { slug: string }) => slug);
    expect(await list()).not.toContain('hello-1');
    expect(await list('?includeInactive=true&q=HELLO&channel=sms&category=greetings')).toEqual(['hello-1']);
    expect((await owner.delete(`${base}/hello-1?soft=false`)).body.data).toEqual({ deleted: true, soft: false });
    expect((await owner.get(`${base}/hello-1`)).status).toBe(404);
    const actions = await admin<{ action: string }>('SELECT action FROM audit_logs WHERE entity_id = $1 ORDER BY created_at', [
      body.data.id,
    ]);
    expect(actions.map(({ action }) => action)).toEqual(['CREATE', 'UPDATE', 'SOFT_DELETE', 'DELETE']);
  });

  test.each([
    [{ label: '' }, 'invalid_input'],
    [{ slug: 'Not A Slug' }, 'invalid_input'],
    [{ body: 'x'.repeat(5001) }, 'invalid_input'],
    [{ channel: undefined }, 'invalid_input'],
    [{ channel: 'fax' }, 'invalid_channel'],
  ])('create with %j › 400 %s', async (more, code) => {
    const { status, body } = await create('faulty', more);
    expect([status, body.error.code]).toEqual([400, code]);
  });

  test('a slug that is taken › 409; nothing to change › 400; one that is in use › 409; an accountant may not write', async () => {
    await create('twice');
    expect((await create('twice')).body.error.code).toBe('slug_exists');
    expect((await owner.patch(`${base}/twice`).send({})).body.error.code).toBe('no_fields');
    expect((await owner.patch(`${base}/none`).send({ label: 'x' })).body.error.code).toBe('not_found');
    await advisor.post('/api/admin/template-usage').send({ template_slug: 'twice' });
    expect((await owner.delete(`${base}/twice?soft=false`)).body.error.code).toBe('template_in_use');
    const accountant = await actAs(app, await createStaff({ tenant: shop, role: 'Accountant' }));
    expect((await accountant.post(base).send({})).status).toBe(403);
  });

  test('a status › what fits it, best first', async () => {
    for (const slug of ['appt_reminder_personalized_sms', 'appt_reminder_basic_sms']) await create(slug);
    const { body } = await advisor.get(`${base}?appointment_status=scheduled`);
    expect(body.data.suggested.map(({ slug, relevance, reason }: Record<string, unknown>) => [slug, relevance, reason])).toEqual([
      ['appt_reminder_basic_sms', 1, 'status_match:SCHEDULED'],
      ['appt_reminder_personalized_sms', 0.99, 'status_match:SCHEDULED'],
    ]);
    expect((await advisor.get(`${base}?appointment_status=NO_SHOW`)).body.data.suggested).toEqual([]);
    expect((await advisor.get(base)).body.data).not.toHaveProperty('suggested');
  });

  test('template-usage › counted once for a key, also at once; refusals by name', async () => {
    const { body: made } = await create('counted');
    const url = '/api/admin/template-usage';
    const { appointment } = await visit();
    const use = { template_id: 'counted', appointment_id: appointment.id, delivery_ms: 12, idempotency_key: 'k', user_id: 'somebody-else' };
    const answers = await Promise.all(Array.from({ length: 4 }, () => advisor.post(url).send(use)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 201]);
    const event = answers.find(({ status }) => status === 201)?.body.data.template_usage_event;
    expect(event).toMatchObject({
      template_id: made.data.id,
      template_slug: 'counted',
      channel: 'sms',
      delivery_ms: 12,
      idempotent: false,
    });
    expect(event.user_id).not.toBe('somebody-else');
    expect(event.hash).toMatch(/^[0-9a-f]{64}$/);
    await create('other');
    for (const [sent, status, code] of [
      [{}, 400, 'missing_template'],
      [{ template_id: 'nope' }, 404, 'template_not_found'],
      [{ template_id: made.data.id, template_slug: 'other' }, 400, 'slug_mismatch'],
      [{ template_id: 'counted', channel: 'fax' }, 400, 'invalid_channel'],
      [{ template_id: 'counted', delivery_ms: -1 }, 400, 'invalid_delivery_ms'],
    ] as const) {
      const refused = await advisor.post(url).send(sent);
      expect([refused.status, refused.body.error.code]).toEqual([status, code]);
    }
  });
});

test('200,000 counted uses in a day › the next one is 429 for an hour; one that was counted already is not refused', async () => {
  const busy = await createTenant();
  const agent = await actAs(app, await createStaff({ tenant: busy }));
  const [template] = await admin<{ id: string }>(
    `INSERT INTO message_templates (tenant_id, slug, label, channel, body) VALUES ($1, 'busy', 'Busy', 'sms', 'x') RETURNING id`,
    [busy.id],
  );
  // So many rows that what they refer to is not looked up for each of them.
  await admin(
    `BEGIN; SET LOCAL session_replication_role = replica;
      INSERT INTO template_usage_events (tenant_id, template_id, channel, user_id, sent_at, hash)
        SELECT '${busy.id}', '${template?.id}', 'sms', 'ana', now() - interval '23 hours', n::text FROM generate_series(1, 199999) n;
      COMMIT`,
  );
  const use = (key: string) => agent.post('/api/admin/template-usage').send({ template_id: 'busy', idempotency_key: key });
  expect((await use('last')).status).toBe(201);
  const { status, body, headers } = await use('more');
  expect([status, body.error.code, body.error.message, headers['retry-after']]).toEqual([
    429,
    'rate_limited',
    'Rate limit exceeded',
    '3600',
  ]);
  expect((await use('last')).status).toBe(200);
}, 120_000);

describe('/api/webhooks/sms', () => {
  let number: string;
  let here: Tenant;
  beforeAll(async () => {
    here = await createTenant();
    number = `+1555${String(Date.now() % 10_000_000).padStart(7, '0')}`;
    await admin('UPDATE tenants SET sms_number = $2 WHERE id = $1', [here.id, number]);
  });
  const post = (target: string, fields: Record<string, string>, signature?: string) =>
    app
      .agent()
      .post(target)
      .set('X-Twilio-Signature', signature ?? smsSignature(`https://shop.example/base${target}`, fields, TOKEN))
      .type('form')
      .send(fields);
  const text = (from: string, body: string, sid = `SM${randomUUID()}`) =>
    post('/api/webhooks/sms', { MessageSid: sid, From: from, To: number, Body: body });
  const optedOut = async (id: number) =>
    (await admin<{ out: boolean }>('SELECT sms_opt_out AS out FROM customers WHERE id = $1', [id]))[0]?.out;

  test.each(['STOP', ' stop. ', '"Unsubscribe"', 'QUIT!', 'end', 'Cancel', 'remove'])(
    '%j › everybody with the number in that shop opts out',
    async (word) => {
      const [one, two, elsewhere] = [
        await createCustomer({ tenant: here }),
        await createCustomer({ tenant: here }),
        await createCustomer({ tenant: shop }),
      ];
      await admin('UPDATE customers SET phone = $2 WHERE id = ANY ($1)', [[two.id, elsewhere.id], one.phone]);
      expect((await text(one.phone, word)).status).toBe(204);
      expect([await optedOut(one.id), await optedOut(two.id), await optedOut(elsewhere.id)]).toEqual([true, true, false]);
    },
  );

  test.each(["I'll CANCEL my other one", 'see you at the weekend', 'do not stop', 'START now'])(
    '%j › joins the thread, decides nothing',
    async (words) => {
      const { customer, appointment } = await visit(here);
      expect((await text(customer.phone, words)).status).toBe(204);
      expect(await optedOut(customer.id)).toBe(false);
      expect(await admin('SELECT body, direction, status FROM messages WHERE appointment_id = $1', [appointment.id])).toEqual([
        { body: words, direction: 'in', status: 'delivered' },
      ]);
    },
  );

  test('START after STOP › opted in again; the old STOP replayed › nothing; a text that comes twice › one message', async () => {
    const { customer, appointment } = await visit(here);
    await text(customer.phone, 'STOP', 'SMreplayed');
    await text(customer.phone, 'start');
    expect((await text(customer.phone, 'STOP', 'SMreplayed')).status).toBe(204);
    expect(await optedOut(customer.id)).toBe(false);
    await Promise.all([text(customer.phone, 'hello', 'SMtwice'), text(customer.phone, 'hello', 'SMtwice')]);
    expect(await admin('SELECT 1 FROM messages WHERE appointment_id = $1', [appointment.id])).toHaveLength(1);
  });

  describe('a number that seven shops share', () => {
    const SHOPS = 7;
    let sharing: Tenant[];
    let others: { id: string }[];
    beforeAll(async () => {
      sharing = await Promise.all(Array.from({ length: SHOPS }, () => createTenant()));
      // Other files' shops are in the same database, and share it too.
      others = await admin<{ id: string }>(
        `UPDATE tenants SET status = 'suspended' WHERE status = 'active' AND sms_number IS NULL AND id <> ALL ($1) RETURNING id`,
        [sharing.map(({ id }) => id)],
      );
    });
    afterAll(() => admin(`UPDATE tenants SET status = 'active' WHERE id = ANY ($1)`, [others.map(({ id }) => id)]));
    const send = (from: string, body: string) =>
      post('/api/webhooks/sms', { MessageSid: `SM${randomUUID()}`, From: from, To: process.env['SMS_FROM'] as string, Body: body });

    test('STOP › everybody with it in every shop opts out, also six in one', async () => {
      const [first, ...rest] = await Promise.all(sharing.map((tenant) => createCustomer({ tenant })));
      const family = await Promise.all(Array.from({ length: 5 }, () => createCustomer({ tenant: sharing[0] as Tenant })));
      const all = [...rest, ...family].map(({ id }) => id);
      const { id, phone } = first as Customer;
      await admin('UPDATE customers SET phone = $2 WHERE id = ANY ($1)', [all, phone]);
      expect((await send(phone, 'STOP')).status).toBe(204);
      expect(await Promise.all([id, ...all].map(optedOut))).toEqual(Array.from({ length: SHOPS + 5 }, () => true));
    });

    test('any other text › joins the thread in the shop that wrote last, and no other', async () => {
      const visits = await Promise.all(sharing.map((tenant) => visit(tenant)));
      const { phone } = (visits[0] as { customer: Customer }).customer;
      await admin('UPDATE customers SET phone = $2 WHERE id = ANY ($1)', [visits.map(({ customer }) => customer.id), phone]);
      const last = visits[3] as Awaited<ReturnType<typeof visit>>;
      await admin(
        `INSERT INTO messages (tenant_id, customer_id, appointment_id, channel, direction, status, body) VALUES ($1, $2, $3, 'sms', 'out', 'delivered', 'x')`,
        [(sharing[3] as Tenant).id, last.customer.id, last.appointment.id],
      );
      expect((await send(phone, 'on my way')).status).toBe(204);
      const kept = await admin<{ id: number }>(
        `SELECT appointment_id AS id FROM messages WHERE body = 'on my way' AND appointment_id = ANY ($1)`,
        [visits.map(({ appointment }) => appointment.id)],
      );
      expect(kept.map(({ id }) => Number(id))).toEqual([last.appointment.id]);
    });
  });

  test('no, wrong or foreign signature › 403, nothing done; too large › 413; far more than strangers may send › not limited', async () => {
    const customer = await createCustomer({ tenant: here });
    const fields = { MessageSid: 'SMforged', From: customer.phone, To: number, Body: 'STOP' };
    const other = smsSignature('https://shop.example/base/api/webhooks/sms', { ...fields, Body: 'START' }, TOKEN);
    for (const signature of ['', 'x', other]) expect((await post('/api/webhooks/sms', fields, signature)).status).toBe(403);
    expect(await optedOut(customer.id)).toBe(false);
    expect((await post('/api/webhooks/sms', { ...fields, Body: 'x'.repeat(17_000) })).status).toBe(413);
    const agent = app.agent();
    for (let count = 0; count < 125; count += 1)
      expect((await agent.post('/api/webhooks/sms').type('form').send({ a: 'b' })).status).toBe(403);
  });

  test('reports › delivered or failed, once, in whatever order; another id or tenant › nothing', async () => {
    const agent = await actAs(app, await createStaff({ tenant: here }));
    const { path } = await visit(here);
    const id = (await agent.post(path).send({ channel: 'sms', body: 'x' })).body.id as string;
    const target = (tenant: string) => `/api/webhooks/sms/status?tenant=${tenant}&message=${id}`;
    const report = (MessageStatus: string, tenant = here.id, MessageSid = 'SMreported') =>
      post(target(tenant), { MessageSid, MessageStatus });
    expect((await report('delivered', shop.id)).status).toBe(204);
    expect((await row(id))?.['status']).toBe('sending');
    await report('delivered');
    await report('sent');
    await report('failed');
    await report('failed', here.id, 'SManother');
    expect(await row(id)).toMatchObject({ status: 'delivered', provider_id: 'SMreported', error_code: null });
  });
});
