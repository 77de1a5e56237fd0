/** One test for each row of the traffic profile: called by the role that it is for, it succeeds, and the reply is what its schema says. */
import { addAppointmentService, createAppointment, createInvoice, createVehicle } from '../support/factories';
import { createFullShop } from '../support/full-shop';
import { call, endpointOf, PROBES, type ProfileRow, type ProfileWorld, RECIPES, readProfile } from '../support/profile-rows';
import { startApp } from '../support/server';
import { actAs } from '../support/sessions';

/** Rows that nothing serves yet. It only ever gets shorter. */
const NOT_SERVED: readonly string[] = [];

const profile = readProfile();
let world: ProfileWorld;

beforeAll(async () => {
  const app = await startApp();
  const { tenant, owner, customer, operation } = await createFullShop();
  const vehicle = await createVehicle({ customer });
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
  const appointment = await createAppointment({ tenant, customer, start: inDays(3) });
  const [billable, billed] = [
    await createAppointment({ tenant, customer, vehicle, status: 'COMPLETED', start: inDays(-3) }),
    await createAppointment({ tenant, customer, vehicle, status: 'COMPLETED', start: inDays(-4) }),
  ];
  await addAppointmentService(billable, { operation });
  const invoice = await createInvoice({ appointment: billed, customer, totalCents: 7_000 });
  world = {
    owner: await actAs(app, owner),
    customer: await actAs(app, customer),
    stranger: () => app.agent().set('X-Tenant-Id', tenant.id),
    ownerAccount: owner,
    customerAccount: { email: customer.email, password: customer.password },
    customerId: customer.id,
    vehicleId: vehicle.id,
    appointmentId: appointment.id,
    billableId: billable.id,
    invoiceId: invoice.id,
  };
});

const isServed = (row: ProfileRow): boolean => PROBES.has(row.key) || endpointOf(row) !== undefined;

test('37 rows, all served but those named here, each with a recipe and no recipe without a row', () => {
  expect(profile).toHaveLength(37);
  expect(profile.filter((row) => !isServed(row)).map(({ key }) => key)).toEqual(NOT_SERVED);
  expect(Object.keys(RECIPES).sort()).toEqual(profile.map(({ key }) => key).sort());
});

const rows = profile.filter(isServed);

test.each(rows.map((row): [string, ProfileRow] => [row.key, row]))('%s › its role › 2xx, as its schema says', async (_key, row) => {
  const { response, expected } = await call(row, world);
  expect([response.status, response.text?.slice(0, 300)]).toEqual([expected, response.text?.slice(0, 300)]);
  const endpoint = endpointOf(row);
  if (!endpoint) {
    expect(response.body).toMatchObject({ status: 'ok', db: 'up' });
    return;
  }
  const [status, schema] = endpoint.reply;
  expect(status).toBe(expected);
  if (schema) {
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    const { ok, data, error, meta, correlation_id } = response.body;
    expect([ok, error, meta.request_id]).toEqual([true, null, correlation_id]);
    expect(schema.safeParse(data).error?.issues).toBeUndefined();
  } else if (expected !== 204) {
    expect(response.headers['content-type']).toMatch(row.path.endsWith('/pdf') ? /^application\/pdf/ : /^text\/csv/);
    const bytes = Buffer.isBuffer(response.body) ? response.body.toString('latin1') : response.text;
    expect(bytes).toMatch(row.path.endsWith('/pdf') ? /^%PDF-1\.[\s\S]*%%EOF\s*$/ : /^[^\n,]+(,[^\n,]+)+\r?\n/);
  } else expect(response.text).toBe('');
});
