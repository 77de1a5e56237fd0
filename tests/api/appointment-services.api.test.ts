/** Service lines of an appointment. @core */
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createInvoice,
  createServiceOperation,
  createStaff,
  createTenant,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countStatements } from '../support/statements';

let app: TestApp;
let tenant: Tenant;
let advisor: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
});

const totalOf = async (id: number): Promise<unknown> =>
  (await admin<{ total_cents: string | null }>('SELECT total_cents FROM appointments WHERE id = $1', [id]))[0]!.total_cents;
const auditsOf = (lineId: string) =>
  admin<{ action: string }>(`SELECT action, before, after FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2`, [tenant.id, lineId]);

describe('POST /api/appointments/:id/services', () => {
  test('an operation › filled from the catalogue; in the next list; total stored and on the board', async () => {
    const operation = await createServiceOperation({ tenant, columns: { default_hours: 1.25, default_price_cents: 12_345 } });
    const { id } = await createAppointment({ tenant, start: new Date() });
    const { status, body } = await advisor.post(`/api/appointments/${id}/services`).send({ service_operation_id: operation.id });
    expect(status).toBe(201);
    expect(body.data).toEqual({
      id: body.id,
      service: {
        id: body.id,
        appointment_id: String(id),
        name: operation.name,
        notes: null,
        estimated_hours: 1.25,
        estimated_price: 123.45,
        category: 'MAINTENANCE',
        service_operation_id: operation.id,
      },
      appointment_total: 123.45,
    });
    expect([body.service, body.appointment_total]).toEqual([body.data.service, 123.45]);
    const list = await advisor.get(`/api/appointments/${id}/services`);
    expect(list.body.services).toEqual([body.data.service]);
    expect(list.body.data.services).toEqual([body.data.service]);
    expect(await totalOf(id)).toBe('12345');
    const board = await advisor.get('/api/admin/appointments/board');
    expect(board.body.cards.find((card: { id: string }) => card.id === String(id)).price).toBe(123.45);
    expect((await auditsOf(body.id)).map(({ action }) => action)).toEqual(['SERVICE_ADD']);
  });

  test('own values › win over the catalogue; null stays null and counts nothing', async () => {
    const operation = await createServiceOperation({ tenant });
    const { id } = await createAppointment({ tenant });
    const { body } = await advisor
      .post(`/api/appointments/${id}/services`)
      .send({ service_operation_id: operation.id, name: 'Special', estimated_price: null, estimated_hours: 0, category: null });
    expect(body.data).toMatchObject({
      service: { name: 'Special', estimated_price: null, estimated_hours: 0, category: null },
      appointment_total: 0,
    });
  });

  test.each([
    [{}, 'invalid', 'name or service_operation_id required'],
    [{ name: ' ' }, 'invalid', 'name or service_operation_id required'],
    [{ service_operation_id: 'NOPE' }, 'invalid_operation', 'service_operation_id not found'],
    [{ name: 'x'.repeat(201) }, 'validation_failed', 'Validation failed'],
    [{ name: 'x', estimated_price: -0.01 }, 'validation_failed', 'Validation failed'],
    [{ name: 'x', estimated_price: 100_000_000 }, 'validation_failed', 'Validation failed'],
    [{ name: 'x', estimated_hours: 1000 }, 'validation_failed', 'Validation failed'],
    [{ name: 'x', estimated_price: '5' }, 'validation_failed', 'Validation failed'],
  ])('%j › 400 %s', async (body, code, message) => {
    const { id } = await createAppointment({ tenant });
    const response = await advisor.post(`/api/appointments/${id}/services`).send(body);
    expect([response.status, response.body.error.code, response.body.error.message]).toEqual([400, code, message]);
  });

  test('an absent appointment › 404 Appointment not found', async () => {
    const response = await advisor.post('/api/appointments/999999999/services').send({ name: 'x' });
    expect([response.status, response.body.error.message]).toEqual([404, 'Appointment not found']);
  });

  test('ten lines at once › the stored total is the sum of all', async () => {
    const { id } = await createAppointment({ tenant });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, nr) =>
        advisor.post(`/api/appointments/${id}/services`).send({ name: `Line ${nr}`, estimated_price: 0.1 }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201));
    expect(await totalOf(id)).toBe('100');
  });
});

describe('PATCH and DELETE /api/appointments/:id/services/:sid', () => {
  test('a change › 200 with line and total, one audit row; the same again › no further row', async () => {
    const appointment = await createAppointment({ tenant });
    const { id: line } = await addAppointmentService(appointment);
    const path = `/api/appointments/${appointment.id}/services/${line}`;
    const change = { name: 'Renamed', estimated_price: 12.34, estimated_hours: null };
    const { status, body } = await advisor.patch(path).send(change);
    expect([status, body.service, body.appointment_total]).toEqual([200, expect.objectContaining(change), 12.34]);
    await advisor.patch(path).send(change);
    expect(await auditsOf(line)).toEqual([
      {
        action: 'SERVICE_PATCH',
        before: { name: 'Inspection', estimated_hours: 1, estimated_price_cents: 5_000 },
        after: { name: 'Renamed', estimated_hours: null, estimated_price_cents: 1_234 },
      },
    ]);
  });

  test('nothing known in the body › 400 invalid', async () => {
    const appointment = await createAppointment({ tenant });
    const { id: line } = await addAppointmentService(appointment);
    const { status, body } = await advisor.patch(`/api/appointments/${appointment.id}/services/${line}`).send({ colour: 'red' });
    expect([status, body.error]).toEqual([400, { code: 'invalid', message: 'No valid fields to update' }]);
  });

  test('a line of another appointment, an odd id › 404 Service not found', async () => {
    const [one, other] = [await createAppointment({ tenant }), await createAppointment({ tenant })];
    const { id: line } = await addAppointmentService(other);
    for (const path of [`/api/appointments/${one.id}/services/${line}`, `/api/appointments/${other.id}/services/7`]) {
      for (const response of [await advisor.patch(path).send({ name: 'x' }), await advisor.delete(path)])
        expect([response.status, response.body.error.message]).toEqual([404, 'Service not found']);
    }
  });

  test('a deletion › 200 deleted, out of list and total, again › 404', async () => {
    const appointment = await createAppointment({ tenant });
    const { id: line } = await addAppointmentService(appointment);
    await addAppointmentService(appointment, { columns: { estimated_price_cents: 700 } });
    const path = `/api/appointments/${appointment.id}/services`;
    const { status, body } = await advisor.delete(`${path}/${line}`);
    // `message` is a reserved word at the root: there it stays under data.
    expect([status, body.data, body.appointment_total]).toEqual([200, { message: 'deleted', appointment_total: 7 }, 7]);
    expect((await advisor.get(path)).body.services).toHaveLength(1);
    expect((await advisor.delete(`${path}/${line}`)).status).toBe(404);
  });

  test('an invoiced appointment › 409 invalid_state for every write of money, notes may be written; after the void again free', async () => {
    const appointment = await createAppointment({ tenant });
    const { id: line } = await addAppointmentService(appointment);
    const invoice = await createInvoice({ appointment, totalCents: 5_000 });
    const path = `/api/appointments/${appointment.id}/services`;
    for (const response of [
      await advisor.post(path).send({ name: 'x' }),
      await advisor.patch(`${path}/${line}`).send({ estimated_price: 1 }),
      await advisor.delete(`${path}/${line}`),
    ])
      expect([response.status, response.body.error.code]).toEqual([409, 'invalid_state']);
    expect((await advisor.patch(`${path}/${line}`).send({ notes: 'left rear' })).status).toBe(200);
    await admin(`UPDATE invoices SET status = 'VOID' WHERE id = $1`, [invoice.id]);
    expect((await advisor.delete(`${path}/${line}`)).status).toBe(200);
  });
});

test.each([1, 20, 500])('GET /api/appointments/:id/services › %i lines in order › one statement', async (count) => {
  const { id } = await createAppointment({ tenant });
  await admin(
    `INSERT INTO appointment_services (tenant_id, appointment_id, name, created_at)
      SELECT $1, $2, 'Line ' || n, now() - n * interval '1 minute' FROM generate_series(1, $3::int) n`,
    [tenant.id, id, count],
  );
  await advisor.get(`/api/appointments/${id}/services`);
  const { result, statements } = await countStatements(async () => await advisor.get(`/api/appointments/${id}/services`));
  expect(statements).toHaveLength(1);
  const names = result.body.services.map(({ name }: { name: string }) => name);
  expect(names).toEqual(Array.from({ length: count }, (_, nr) => `Line ${count - nr}`));
});
