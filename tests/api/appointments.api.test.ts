import { admin } from '../support/database';
import {
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createInvoice,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';
import { countStatements } from '../support/statements';

const HOUR_MS = 3_600_000;
let app: TestApp;
let tenant: Tenant;
let customer: Customer;
let advisor: Agent;
let technician: Agent;
let owner: Agent;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  customer = await createCustomer({ tenant });
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  technician = await actAs(app, await createStaff({ tenant, role: 'Technician' }));
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
});

/** A start that no other test of this file uses. */
let lastStart = Math.floor(Date.now() / HOUR_MS) * HOUR_MS + 24 * HOUR_MS;
const nextStart = (): Date => {
  lastStart += 2 * HOUR_MS;
  return new Date(lastStart);
};
const inHours = (date: Date, hours: number): Date => new Date(date.getTime() + hours * HOUR_MS);

const audits = (entityId: number | string): Promise<{ action: string; before: unknown; after: unknown }[]> =>
  admin(
    `SELECT action, before, after FROM audit_logs WHERE tenant_id = $1 AND entity = 'appointment' AND entity_id = $2 ORDER BY created_at`,
    [tenant.id, String(entityId)],
  );
const rowOf = async (id: number | string): Promise<Record<string, unknown>> =>
  (await admin<Record<string, unknown>>('SELECT * FROM appointments WHERE tenant_id = $1 AND id = $2', [tenant.id, id]))[0]!;

describe('POST /api/admin/appointments', () => {
  test('customer, car, lines in one request › 201, stored with history and one audit row', async () => {
    const operation = await createServiceOperation({ tenant });
    const start = nextStart();
    const response = await advisor.post('/api/admin/appointments').send({
      customer_name: 'Robin Vale',
      customer_phone: '555 010 2233',
      customer_email: '',
      license_plate: 'abc 42',
      vehicle_year: '2018',
      vehicle_make: 'Meridian',
      vehicle_model: 'Wagon',
      service_operation_ids: [operation.id, 'nothing-like-it'],
      start_ts: start.toISOString(),
      service: 'Squeaking brakes',
      mileage_at_service: 61_000,
    });
    expect(response.status).toBe(201);
    const { data } = response.body;
    expect(response.body.id).toBe(data.id);
    expect(response.body.appointment.id).toBe(data.id);
    expect(response.headers['location']).toBe(`/api/appointments/${data.id}`);
    expect(data.appointment).toMatchObject({
      status: 'SCHEDULED',
      title: 'Squeaking brakes',
      customer_name: 'Robin Vale',
      vehicle_label: 'Meridian Wagon',
      service_operation_ids: [operation.id],
      total_amount: operation.priceCents / 100,
      start_ts: start.toISOString(),
      end_ts: null,
      vehicle: { license_plate: 'ABC 42', year: 2018, total_services: 0 },
    });
    const row = await rowOf(data.id);
    expect(row['block_end_ts']).toEqual(inHours(start, 1));
    expect(
      await admin('SELECT from_status, to_status, source FROM appointment_status_history WHERE tenant_id = $1 AND appointment_id = $2', [
        tenant.id,
        data.id,
      ]),
    ).toEqual([{ from_status: null, to_status: 'SCHEDULED', source: 'create' }]);
    expect(
      await admin('SELECT mileage_at_service FROM appointment_vehicles WHERE tenant_id = $1 AND appointment_id = $2', [tenant.id, data.id]),
    ).toEqual([{ mileage_at_service: 61_000 }]);
    expect((await audits(data.id)).map(({ action }) => action)).toEqual(['APPT_CREATE']);
  });

  test('digits as customer_id › that customer, and never a customer named by digits', async () => {
    const response = await advisor
      .post('/api/admin/appointments')
      .send({ customer_id: String(customer.id), start_ts: nextStart().toISOString() });
    expect(response.status).toBe(201);
    expect(response.body.appointment.customer_id).toBe(String(customer.id));
    const missing = await advisor.post('/api/admin/appointments').send({ customer_id: '999999999', start_ts: nextStart().toISOString() });
    expect([missing.status, missing.body.error.code, missing.body.error.message]).toEqual([404, 'not_found', 'Customer not found']);
  });

  test('nobody named › no customer row, read as Unknown Customer', async () => {
    const before = await admin('SELECT count(*) FROM customers WHERE tenant_id = $1', [tenant.id]);
    const response = await advisor.post('/api/admin/appointments').send({ start: nextStart().toISOString() });
    expect(response.status).toBe(201);
    expect(response.body.appointment).toMatchObject({ customer_id: null, customer_name: 'Unknown Customer', vehicle: null });
    expect(await admin('SELECT count(*) FROM customers WHERE tenant_id = $1', [tenant.id])).toEqual(before);
  });
});
