/** The state machine over its three entry points. @core */
import { planTransition } from '../../models/appointment-transitions';
import { admin } from '../support/database';
import {
  type Appointment,
  type AppointmentStatus,
  createAppointment,
  createCustomer,
  createInvoice,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const STATUSES = ['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED'] as const;
const PAIRS = STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const));

let app: TestApp;
let tenant: Tenant;
let advisor: Agent;
let technician: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  technician = await actAs(app, await createStaff({ tenant, role: 'Technician' }));
});

interface Row {
  status: AppointmentStatus;
  version: number;
  started_at: Date | null;
  completed_at: Date | null;
  check_in_at: Date | null;
  check_out_at: Date | null;
}
const rowOf = async ({ id }: Pick<Appointment, 'id'>): Promise<Row> =>
  (await admin<Row>('SELECT * FROM appointments WHERE tenant_id = $1 AND id = $2', [tenant.id, id]))[0]!;
const historyOf = ({ id }: Pick<Appointment, 'id'>): Promise<{ edge: string; source: string }[]> =>
  admin(
    `SELECT from_status || '>' || to_status AS edge, source FROM appointment_status_history WHERE tenant_id = $1 AND appointment_id = $2 ORDER BY id`,
    [tenant.id, id],
  );
const auditsOf = async ({ id }: Pick<Appointment, 'id'>): Promise<string[]> =>
  (
    await admin<{ action: string }>(`SELECT action FROM audit_logs WHERE tenant_id = $1 AND entity = 'appointment' AND entity_id = $2`, [
      tenant.id,
      String(id),
    ])
  ).map(({ action }) => action);

const move = (agent: Agent, { id }: Pick<Appointment, 'id'>, body: object) => agent.patch(`/api/admin/appointments/${id}/move`).send(body);
const patch = (agent: Agent, { id }: Pick<Appointment, 'id'>, body: object) => agent.patch(`/api/appointments/${id}`).send(body);

function expectStamps(row: Row, entered: readonly string[]): void {
  expect(Boolean(row.started_at)).toBe(entered.includes('IN_PROGRESS'));
  expect(Boolean(row.completed_at)).toBe(entered.includes('COMPLETED'));
  expect(Boolean(row.check_out_at)).toBe(entered.includes('COMPLETED'));
}

describe('PATCH /api/admin/appointments/:id/move', () => {
  test.each(PAIRS)('%s to %s › as the strict table says', async (from, to) => {
    const appointment = await createAppointment({ tenant, status: from });
    const plan = planTransition(from, to, 'move');
    const response = await move(advisor, appointment, { status: to, position: 1 });
    const row = await rowOf(appointment);
    if (plan === null) {
      expect([response.status, response.body.error]).toEqual([
        400,
        { code: 'invalid_transition', message: `Invalid transition ${from} → ${to}` },
      ]);
      expect([row.status, row.version, await historyOf(appointment), await auditsOf(appointment)]).toEqual([from, 1, [], []]);
      return;
    }
    expect([response.status, response.body.data]).toEqual([200, { id: String(appointment.id), status: to, position: 1, version: 2 }]);
    expect([row.status, row.version]).toEqual([to, 2]);
    expect(await historyOf(appointment)).toEqual([{ edge: `${from}>${to}`, source: 'move' }]);
    expect(await auditsOf(appointment)).toEqual(['STATUS_CHANGE']);
    expectStamps(row, plan);
  });

  test('unknown status, odd id, absent row › 400 bad_request, 400 invalid_transition, 404', async () => {
    const appointment = await createAppointment({ tenant });
    const unknown = await move(advisor, appointment, { status: 'done' });
    expect([unknown.status, unknown.body.error.code]).toEqual([400, 'bad_request']);
    const odd = await advisor.patch('/api/admin/appointments/seed-appt-1/move').send({ status: 'READY' });
    expect([odd.status, odd.body.error.code]).toEqual([400, 'invalid_transition']);
    expect(odd.body.error.message).toMatch(/invalid[_\s-]?transition/i);
    const absent = await move(advisor, { id: 987_654_321 }, { status: 'READY' });
    expect([absent.status, absent.body.error.message]).toEqual([404, 'Appointment not found']);
  });

  test('a stale version › 409 with both versions, row unchanged; the current one › 200', async () => {
    const appointment = await createAppointment({ tenant });
    const stale = await move(advisor, appointment, { status: 'READY', version: 7 });
    expect(stale.status).toBe(409);
    expect(stale.body.error).toMatchObject({ code: 'version_conflict', details: { current_version: 1, provided_version: 7 } });
    expect(stale.body.current_version).toBe(1);
    expect((await rowOf(appointment)).status).toBe('SCHEDULED');
    expect((await move(advisor, appointment, { status: 'READY', version: 1 })).status).toBe(200);
  });

  test('a technician › moves work on, but closes nothing', async () => {
    const appointment = await createAppointment({ tenant });
    expect((await move(technician, appointment, { status: 'IN_PROGRESS' })).status).toBe(200);
    const refused = await move(technician, appointment, { status: 'COMPLETED' });
    expect([refused.status, refused.body.error]).toEqual([
      403,
      { code: 'forbidden', message: 'Insufficient permissions. Required role: Advisor' },
    ]);
    expect((await rowOf(appointment)).status).toBe('IN_PROGRESS');
  });

  test('two completions at once › one 200, one 400, one history row, the car counted once', async () => {
    const vehicle = await createVehicle({ customer: await createCustomer({ tenant }) });
    const appointment = await createAppointment({ tenant, vehicle, status: 'READY' });
    const responses = await Promise.all([1, 2].map(() => move(advisor, appointment, { status: 'COMPLETED' })));
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 400]);
    expect(await historyOf(appointment)).toEqual([{ edge: 'READY>COMPLETED', source: 'move' }]);
    const [car] = await admin<{ total_services: number; last_service_date: unknown }>(
      'SELECT total_services, last_service_date::text FROM vehicles WHERE tenant_id = $1 AND id = $2',
      [tenant.id, vehicle.id],
    );
    expect(car).toEqual({ total_services: 1, last_service_date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) });
  });

  test('more moves in a minute than allowed › 429 with Retry-After, by user and not by address', async () => {
    const busy = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
    const other = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
    const answers = await Promise.all(Array.from({ length: 61 }, () => move(busy, { id: 987_654_321 }, { status: 'READY' })));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(1);
    expect(refused[0]!.body.error).toMatchObject({ code: 'rate_limited', message: 'Rate limit exceeded' });
    expect(Number(refused[0]!.headers['retry-after'])).toBeGreaterThan(0);
    expect((await move(other, { id: 987_654_321 }, { status: 'READY' })).status).toBe(404);
  });
});

describe('PATCH /api/appointments/:id with a status', () => {
  test.each(PAIRS)('%s to %s › reopening and the way straight to the end are allowed too', async (from, to) => {
    const appointment = await createAppointment({ tenant, status: from });
    const plan = planTransition(from, to, 'patch');
    const response = await patch(advisor, appointment, { status: to.toLowerCase().replace('_', '-') });
    const row = await rowOf(appointment);
    if (plan === null) {
      expect([response.status, response.body.error]).toEqual([
        400,
        { code: 'invalid_transition', message: `Invalid transition ${from} → ${to}` },
      ]);
      expect(row.version).toBe(1);
      return;
    }
    expect(response.status).toBe(200);
    expect(response.body.data).toMatchObject({ id: String(appointment.id), status: to, appointment: { status: to } });
    expect(response.body.data.updated_fields).toEqual(plan.length === 0 ? [] : ['status']);
    const steps = [from, ...plan];
    expect(await historyOf(appointment)).toEqual(plan.map((next, index) => ({ edge: `${steps[index]}>${next}`, source: 'patch' })));
    expect(await auditsOf(appointment)).toEqual(plan.length === 0 ? [] : ['STATUS_CHANGE']);
    expect(row.version).toBe(plan.length === 0 ? 1 : 2);
    if (plan.length > 0) expectStamps(row, plan);
  });

  test('straight from scheduled to completed › both steps with one time, stamps complete', async () => {
    const appointment = await createAppointment({ tenant });
    await patch(advisor, appointment, { status: 'COMPLETED' });
    const row = await rowOf(appointment);
    expect(row.started_at).toEqual(row.completed_at);
    expect(row.check_in_at).toEqual(row.check_out_at);
    const times = await admin<{ at: Date }>(
      'SELECT DISTINCT at FROM appointment_status_history WHERE tenant_id = $1 AND appointment_id = $2',
      [tenant.id, appointment.id],
    );
    expect(times).toHaveLength(1);
  });

  test('stamps › the first entry counts; undoing the start clears only that', async () => {
    const appointment = await createAppointment({ tenant });
    await patch(advisor, appointment, { status: 'IN_PROGRESS' });
    const first = await rowOf(appointment);
    await patch(advisor, appointment, { status: 'READY' });
    await patch(advisor, appointment, { status: 'IN_PROGRESS' });
    expect((await rowOf(appointment)).started_at).toEqual(first.started_at);
    await patch(advisor, appointment, { status: 'SCHEDULED' });
    expect(await rowOf(appointment)).toMatchObject({ started_at: null, check_in_at: first.check_in_at });
    await patch(advisor, appointment, { status: 'IN_PROGRESS' });
    const again = await rowOf(appointment);
    expect(again.started_at!.getTime()).toBeGreaterThan(first.started_at!.getTime());
    expect(again.check_in_at).toEqual(first.check_in_at);
    expect(await historyOf(appointment)).toHaveLength(5);
  });

  test('reopening an invoiced appointment › 409 invalid_state; with a void invoice › 200', async () => {
    const appointment = await createAppointment({ tenant, status: 'READY' });
    const { id } = await createInvoice({ appointment, totalCents: 5_000 });
    const refused = await patch(advisor, appointment, { status: 'IN_PROGRESS' });
    expect([refused.status, refused.body.error.code]).toEqual([409, 'invalid_state']);
    await admin(`UPDATE invoices SET status = 'VOID', voided_at = now() WHERE id = $1`, [id]);
    expect((await patch(advisor, appointment, { status: 'IN_PROGRESS' })).status).toBe(200);
  });

  test('reopening into a slot that somebody took meanwhile › 409 with the id in the way', async () => {
    const lift = await createTechnician({ tenant });
    const canceled = await createAppointment({ tenant, technician: lift, status: 'CANCELED' });
    const taken = await createAppointment({ tenant, technician: lift, start: canceled.start });
    const refused = await patch(advisor, canceled, { status: 'SCHEDULED' });
    expect([refused.status, refused.body.error.message]).toEqual([409, 'Scheduling conflict detected']);
    expect(refused.body.error.details).toEqual({ conflicts: { tech: [String(taken.id)], vehicle: [] } });
    expect((await rowOf(canceled)).status).toBe('CANCELED');
  });

  test.each(['COMPLETED', 'NO_SHOW', 'CANCELED'])('a technician to %s › 403', async (status) => {
    const appointment = await createAppointment({ tenant, status: status === 'COMPLETED' ? 'READY' : 'SCHEDULED' });
    expect((await patch(technician, appointment, { status })).status).toBe(403);
  });
});

describe.each([
  ['start', 'IN_PROGRESS'],
  ['ready', 'READY'],
  ['complete', 'COMPLETED'],
] as const)('POST /api/appointments/:id/%s', (action, to) => {
  test.each(STATUSES)('from %s › as the strict table says; the same status changes nothing', async (from) => {
    const appointment = await createAppointment({ tenant, status: from });
    const plan = planTransition(from, to, 'quick');
    const response = await advisor.post(`/api/appointments/${appointment.id}/${action}`);
    if (plan === null) {
      expect([response.status, response.body.error]).toEqual([
        400,
        { code: 'bad_request', message: `Invalid transition ${from} -> ${to}` },
      ]);
      expect((await rowOf(appointment)).version).toBe(1);
      return;
    }
    expect([response.status, response.body.data]).toEqual([200, { id: String(appointment.id), status: to }]);
    expect(await historyOf(appointment)).toEqual(plan.map(() => ({ edge: `${from}>${to}`, source: 'quick' })));
    expect(await auditsOf(appointment)).toEqual(plan.map(() => 'STATUS_CHANGE'));
    if (plan.length > 0) expectStamps(await rowOf(appointment), plan);
  });

  test('an absent appointment › 404; the workshop may not complete', async () => {
    expect((await advisor.post(`/api/appointments/987654321/${action}`).send({})).status).toBe(404);
    const appointment = await createAppointment({ tenant, status: to === 'IN_PROGRESS' ? 'SCHEDULED' : 'IN_PROGRESS' });
    expect((await technician.post(`/api/appointments/${appointment.id}/${action}`)).status).toBe(to === 'COMPLETED' ? 403 : 200);
  });
});

test('two quick completions at once › both 200, one history row', async () => {
  const appointment = await createAppointment({ tenant, status: 'READY' });
  const responses = await Promise.all([1, 2].map(() => advisor.post(`/api/appointments/${appointment.id}/complete`)));
  expect(responses.map(({ status }) => status)).toEqual([200, 200]);
  expect(await historyOf(appointment)).toHaveLength(1);
});

describe('POST /api/appointments/:id/check-in and check-out', () => {
  const check = (which: 'in' | 'out', { id }: Appointment, body: object = {}) =>
    advisor.post(`/api/appointments/${id}/check-${which}`).send(body);

  test('the first arrival counts, an explicit time replaces it; status untouched, one audit row for each change', async () => {
    const appointment = await createAppointment({ tenant });
    const first = (await check('in', appointment)).body.data;
    expect((await check('in', appointment)).body.data).toEqual(first);
    const at = '2031-01-01T10:00:00.000Z';
    expect((await check('in', appointment, { at })).body.data).toEqual({ id: String(appointment.id), check_in_at: at });
    expect((await rowOf(appointment)).status).toBe('SCHEDULED');
    expect(await auditsOf(appointment)).toEqual(['APPT_CHECK_IN', 'APPT_CHECK_IN']);
    expect((await check('out', appointment, { at: '2031-01-01T12:00:00Z' })).body.data.check_out_at).toBe('2031-01-01T12:00:00.000Z');
  });

  test('leaving before arriving, arriving after leaving, no time at all › 400', async () => {
    const appointment = await createAppointment({ tenant });
    await check('in', appointment, { at: '2031-01-01T10:00:00Z' });
    expect((await check('out', appointment, { at: '2031-01-01T09:00:00Z' })).status).toBe(400);
    expect((await check('in', appointment, { at: 'noon' })).status).toBe(400);
  });
});

test('GET /api/admin/appointments/today › the shop’s day', async () => {
  const shop = await createTenant({ timeZone: 'Pacific/Auckland' });
  const reader = await actAs(app, await createStaff({ tenant: shop, role: 'Accountant' }));
  const now = new Date();
  const today = await createAppointment({ tenant: shop, start: now });
  await createAppointment({ tenant: shop, start: new Date(now.getTime() - 25 * 3_600_000) });
  await createAppointment({ tenant: shop, start: new Date(now.getTime() + 25 * 3_600_000) });
  const { body } = await reader.get('/api/admin/appointments/today');
  expect(body.data.appointments.map(({ id }: { id: string }) => id)).toEqual([String(today.id)]);
});
