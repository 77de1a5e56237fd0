/** The factories themselves: what they build is what the service role sees, in its tenant and in no other. */
import { closeDatabase, openDatabase, unsafeQuery } from '../../lib/db';
import { verifyPassword } from '../../lib/passwords';
import { admin } from '../support/database';
import {
  addAppointmentService,
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  PASSWORD,
} from '../support/factories';
import { countStatements } from '../support/statements';

beforeAll(() => openDatabase({ poolMin: 1, poolMax: 2 }));
afterAll(() => closeDatabase());

test('a whole shop › every row stands in its tenant', async () => {
  const tenant = await createTenant({ settings: { tax_basis_points: 825 } });
  const staff = await createStaff({ tenant, role: 'Owner' });
  const customer = await createCustomer({ tenant, canLogIn: true });
  const vehicle = await createVehicle({ customer });
  const technician = await createTechnician({ tenant });
  const operation = await createServiceOperation({ tenant });
  const appointment = await createAppointment({ tenant, vehicle, technician });
  await addAppointmentService(appointment, { operation });
  const invoice = await createInvoice({ appointment, customer, totalCents: 12_000 });
  await createPayment({ appointment, invoice, amountCents: 2_000 });
  expect(invoice.number).toBe(1);
  const [counts] = await admin<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM customers WHERE tenant_id = $1) AS customers,
      (SELECT count(*)::int FROM appointment_vehicles WHERE tenant_id = $1) AS vehicles,
      (SELECT count(*)::int FROM appointment_services WHERE tenant_id = $1) AS services,
      (SELECT count(*)::int FROM payments WHERE tenant_id = $1) AS payments,
      (SELECT tax_basis_points FROM tenant_settings WHERE tenant_id = $1) AS tax`,
    [tenant.id],
  );
  expect(counts).toEqual({ customers: 1, vehicles: 1, services: 1, payments: 1, tax: 825 });
  const [account] = await admin<{ password_hash: string }>('SELECT password_hash FROM staff_users WHERE id = $1', [staff.id]);
  expect(await verifyPassword(PASSWORD, account?.password_hash ?? null)).toBe(true);
});

test('the service role without a tenant › sees no customer, though there are some', async () => {
  await createCustomer({ tenant: await createTenant() });
  const { result, statements } = await countStatements(() =>
    unsafeQuery<{ n: number }>({ text: 'SELECT count(*)::int AS n FROM customers' }),
  );
  expect(result).toEqual([{ n: 0 }]);
  expect(statements).toEqual(['SELECT count(*)::int AS n FROM customers']);
});
