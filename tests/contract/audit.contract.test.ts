/**
 * Every endpoint that changes something leaves exactly one row in the audit trail, in the same transaction: where the row
 * cannot be written, the request fails and nothing has changed. A new endpoint that writes must be listed here.
 */
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { admin } from '../support/database';
import {
  type Appointment,
  type AppointmentStatus,
  addAppointmentService,
  createAppointment,
  createCustomer,
  createPayment,
  createServiceOperation,
  createStaff,
} from '../support/factories';
import { createFullShop, type FullShop, fingerprint } from '../support/full-shop';
import { startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const HOUR_MS = 3_600_000;
const at = (hours: number): Date => new Date(Date.now() + hours * HOUR_MS);

interface Call {
  path: string;
  body?: object;
}
interface Case {
  /** Builds what the call needs, and says it. */
  call: (shop: FullShop) => Promise<Call> | Call;
  action: string;
  by?: 'owner' | 'customer';
}

/** An appointment without an invoice. */
const visit = (shop: FullShop, status: AppointmentStatus = 'SCHEDULED', columns: Record<string, unknown> = {}): Promise<Appointment> =>
  createAppointment({ tenant: shop.tenant, customer: shop.customer, status, start: at(72), columns });
const onVisit = (action: string, verb: string, status: AppointmentStatus, columns: Record<string, unknown> = {}): Case => ({
  action,
  call: async (shop) => ({ path: `/api/appointments/${(await visit(shop, status, columns)).id}/${verb}` }),
});
const onLine = (action: string, body?: object): Case => ({
  action,
  call: async (shop) => {
    const appointment = await visit(shop);
    const { id } = await addAppointmentService(appointment);
    return { path: `/api/appointments/${appointment.id}/services/${id}`, ...(body ? { body } : {}) };
  },
});
const onInvoice = (action: string, verb: string, body: object = {}): Case => ({
  action,
  call: ({ invoice }) => ({ path: `/api/admin/invoices/${invoice.id}/${verb}`, body }),
});
/** A payment that the invoice has counted. */
async function counted({ appointment, invoice }: FullShop): Promise<string> {
  await admin('DELETE FROM payments WHERE invoice_id = $1', [invoice.id]);
  const { id } = await createPayment({ appointment, invoice, amountCents: 1_000 });
  await admin(`UPDATE invoices SET status = 'PARTIALLY_PAID', amount_paid_cents = 1000, amount_due_cents = 4000 WHERE id = $1`, [
    invoice.id,
  ]);
  return id;
}
const aCar = { make: 'Honda', model: 'Civic', year: 2020 };

const CASES: Readonly<Record<string, Case>> = {
  setStaffMembership: {
    action: 'ROLE_CHANGE',
    call: async ({ tenant }) => ({
      path: '/api/admin/staff/memberships',
      body: { staff_id: (await createStaff({ tenant, role: 'Technician' })).id, tenant_id: tenant.id, role: 'Advisor' },
    }),
  },
  updateOwnProfile: {
    by: 'customer',
    action: 'CUSTOMER_UPDATE',
    call: () => ({ path: '/api/customers/profile', body: { name: 'Changed' } }),
  },
  createOwnVehicle: { by: 'customer', action: 'VEHICLE_CREATE', call: () => ({ path: '/api/customers/vehicles', body: aCar }) },
  decideSmsConsent: {
    by: 'customer',
    action: 'SMS_CONSENT',
    call: () => ({ path: '/api/customers/sms-consent', body: { sms_consent: true } }),
  },
  createCustomer: {
    action: 'CUSTOMER_CREATE',
    call: () => ({ path: '/api/admin/customers', body: { name: 'New', email: 'new@customer.example' } }),
  },
  updateCustomer: {
    action: 'CUSTOMER_UPDATE',
    call: ({ customer }) => ({ path: `/api/admin/customers/${customer.id}`, body: { name: 'Changed' } }),
  },
  createCustomerNote: {
    action: 'CUSTOMER_NOTE_CREATE',
    call: ({ customer }) => ({ path: `/api/admin/customers/${customer.id}/notes`, body: { content: 'Note' } }),
  },
  createVehicle: {
    action: 'VEHICLE_CREATE',
    call: ({ customer }) => ({ path: '/api/admin/vehicles', body: { customer_id: customer.id, ...aCar } }),
  },
  transferVehicles: {
    action: 'VEHICLE_TRANSFER',
    call: async ({ tenant, vehicle }) => ({
      path: '/api/admin/vehicles/transfer',
      body: { vehicle_ids: [vehicle.id], customer_id: (await createCustomer({ tenant })).id },
    }),
  },
  updateVehicle: {
    action: 'VEHICLE_UPDATE',
    call: ({ vehicle }) => ({ path: `/api/admin/vehicles/${vehicle.id}`, body: { make: 'Changed' } }),
  },
  deactivateVehicle: { action: 'VEHICLE_DEACTIVATE', call: ({ vehicle }) => ({ path: `/api/admin/vehicles/${vehicle.id}` }) },
  transferVehicle: {
    action: 'VEHICLE_TRANSFER',
    call: async ({ tenant, vehicle }) => ({
      path: `/api/admin/vehicles/${vehicle.id}/transfer`,
      body: { customer_id: (await createCustomer({ tenant })).id },
    }),
  },
  createRoleVehicle: {
    action: 'VEHICLE_CREATE',
    call: ({ customer }) => ({ path: '/api/vehicles', body: { customer_id: customer.id, ...aCar } }),
  },
  replaceVehicle: {
    action: 'VEHICLE_UPDATE',
    call: ({ vehicle }) => ({ path: `/api/vehicles/${vehicle.id}`, body: { ...aCar, make: 'Changed' } }),
  },
  createAdminAppointment: {
    action: 'APPT_CREATE',
    call: ({ customer }) => ({ path: '/api/admin/appointments', body: { customer_id: String(customer.id), start_ts: at(96) } }),
  },
  createAppointment: {
    action: 'APPT_CREATE',
    call: ({ customer }) => ({ path: '/api/appointments', body: { customer_id: String(customer.id), start_ts: at(96) } }),
  },
  updateAppointment: {
    action: 'APPT_PATCH',
    call: async (shop) => ({ path: `/api/appointments/${(await visit(shop)).id}`, body: { title: 'New' } }),
  },
  putAppointment: {
    action: 'APPT_PATCH',
    call: async (shop) => ({ path: `/api/appointments/${(await visit(shop)).id}`, body: { title: 'New' } }),
  },
  deleteAppointment: { action: 'APPT_DELETE', call: async (shop) => ({ path: `/api/appointments/${(await visit(shop)).id}` }) },
  moveAppointment: {
    action: 'STATUS_CHANGE',
    call: async (shop) => ({
      path: `/api/admin/appointments/${(await visit(shop)).id}/move`,
      body: { status: 'IN_PROGRESS', position: 1 },
    }),
  },
  startAppointment: onVisit('STATUS_CHANGE', 'start', 'SCHEDULED'),
  readyAppointment: onVisit('STATUS_CHANGE', 'ready', 'IN_PROGRESS'),
  completeAppointment: onVisit('STATUS_CHANGE', 'complete', 'READY'),
  checkInAppointment: onVisit('APPT_CHECK_IN', 'check-in', 'SCHEDULED'),
  checkOutAppointment: onVisit('APPT_CHECK_OUT', 'check-out', 'READY', { check_in_at: at(-1) }),
  createTechnician: {
    action: 'TECHNICIAN_CREATE',
    call: () => ({ path: '/api/admin/technicians', body: { name: 'New', initials: 'QQ' } }),
  },
  updateTechnician: {
    action: 'TECHNICIAN_UPDATE',
    call: ({ technician }) => ({ path: `/api/admin/technicians/${technician.id}`, body: { name: 'Changed' } }),
  },
  createServiceOperation: {
    action: 'CATALOG_CREATE',
    call: () => ({ path: '/api/admin/service-operations', body: { name: 'New', category: 'OTHER' } }),
  },
  updateServiceOperation: {
    action: 'CATALOG_UPDATE',
    call: ({ operation }) => ({ path: `/api/admin/service-operations/${operation.id}`, body: { name: 'Changed' } }),
  },
  deleteServiceOperation: {
    action: 'CATALOG_DELETE',
    call: async ({ tenant }) => ({ path: `/api/admin/service-operations/${(await createServiceOperation({ tenant })).id}` }),
  },
  addServiceLine: {
    action: 'SERVICE_ADD',
    call: async (shop) => ({ path: `/api/appointments/${(await visit(shop)).id}/services`, body: { name: 'Wash' } }),
  },
  updateServiceLine: onLine('SERVICE_PATCH', { name: 'Changed' }),
  deleteServiceLine: onLine('SERVICE_DELETE'),
  invoiceAppointment: {
    action: 'INVOICE_CREATE',
    call: async (shop) => ({ path: `/api/admin/appointments/${(await visit(shop, 'COMPLETED')).id}/invoice` }),
  },
  createInvoice: {
    action: 'INVOICE_CREATE',
    call: async (shop) => ({ path: '/api/invoices', body: { appointment_id: String((await visit(shop, 'COMPLETED')).id) } }),
  },
  recordPayment: onInvoice('PAYMENT_RECORD', 'payments', { amountCents: 100, method: 'cash' }),
  voidPayment: {
    action: 'PAYMENT_VOID',
    call: async (shop) => ({ path: `/api/admin/invoices/${shop.invoice.id}/payments/${await counted(shop)}/void`, body: {} }),
  },
  refundPayment: {
    action: 'PAYMENT_REFUND',
    call: async (shop) => {
      await counted(shop);
      return { path: `/api/admin/invoices/${shop.invoice.id}/refunds`, body: { amountCents: 100, method: 'cash' } };
    },
  },
  voidInvoice: onInvoice('INVOICE_VOID', 'void'),
  addInvoicePackage: {
    action: 'INVOICE_ADD_PACKAGE',
    call: async ({ tenant, invoice }) => {
      const [bundle] = await admin<{ id: string }>('SELECT service_id AS id FROM package_items WHERE tenant_id = $1', [tenant.id]);
      return { path: `/api/admin/invoices/${invoice.id}/add-package`, body: { package_id: bundle?.id } };
    },
  },
  sendInvoice: onInvoice('INVOICE_SEND', 'send', { type: 'receipt' }),
  updateSettings: { action: 'SETTINGS_UPDATE', call: () => ({ path: '/api/admin/settings', body: { tax_basis_points: 825 } }) },
  sendMessage: {
    action: 'MESSAGE_SEND',
    call: ({ appointment }) => ({ path: `/api/appointments/${appointment.id}/messages`, body: { channel: 'email', body: 'Hello' } }),
  },
  markMessage: {
    action: 'MESSAGE_UPDATE',
    call: async ({ appointment, message }) => {
      await admin(`UPDATE messages SET status = 'sending' WHERE id = $1`, [message.id]);
      return { path: `/api/appointments/${appointment.id}/messages/${message.id}`, body: { status: 'failed' } };
    },
  },
  deleteMessage: {
    action: 'MESSAGE_DELETE',
    call: ({ appointment, message }) => ({ path: `/api/appointments/${appointment.id}/messages/${message.id}` }),
  },
  createMessageTemplate: {
    action: 'CREATE',
    call: () => ({ path: '/api/admin/message-templates', body: { slug: 'new', label: 'New', channel: 'sms', body: 'Hello' } }),
  },
  updateMessageTemplate: {
    action: 'UPDATE',
    call: ({ template }) => ({ path: `/api/admin/message-templates/${template.slug}`, body: { label: 'Changed' } }),
  },
  deleteMessageTemplate: { action: 'SOFT_DELETE', call: ({ template }) => ({ path: `/api/admin/message-templates/${template.slug}` }) },
  reportTemplateUsage: {
    action: 'CREATE',
    call: ({ template }) => ({ path: '/api/admin/template-usage', body: { template_id: template.id } }),
  },
};

/** They change no row of a shop, or have tests of their own beside those of log-in, sessions and the provider's calls. */
const ELSEWHERE = new Set([
  'loginStaff',
  'login',
  'loginCustomer',
  'registerCustomer',
  'register',
  'logout',
  'refreshSession',
  'requestPasswordReset',
  'resetPassword',
  'receiveText',
  'receiveDeliveryReport',
  'reportTelemetry',
]);

const writes = endpoints.filter(({ method }) => method !== 'get');
const listed = writes.filter(({ id }) => !ELSEWHERE.has(id));

let app: TestApp;
let tables: string[];
beforeAll(async () => {
  app = await startApp();
  tables = (
    await admin<{ name: string }>(
      `SELECT DISTINCT table_name AS name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'public' AND column_name = 'tenant_id' AND table_type = 'BASE TABLE' AND table_name <> 'sessions'`,
    )
  ).map(({ name }) => name);
});

test('every endpoint that writes is listed, and nothing else', () => {
  expect(Object.keys(CASES).sort()).toEqual(listed.map(({ id }) => id).sort());
  for (const id of ELSEWHERE) expect(writes.map((one) => one.id)).toContain(id);
});

async function prepare({ id, method }: Endpoint): Promise<{ shop: FullShop; action: string; send: () => Promise<number> }> {
  const one = CASES[id] as Case;
  const shop = await createFullShop();
  const agent = await actAs(app, one.by === 'customer' ? shop.customer : shop.owner);
  const { path, body } = await one.call(shop);
  return { shop, action: one.action, send: async () => (await agent[method](path).send(body)).status };
}
const trail = (tenantId: string) =>
  admin<{ id: string; action: string }>('SELECT id, action FROM audit_logs WHERE tenant_id = $1', [tenantId]);
const jobs = async () => (await admin<{ count: number }>('SELECT count(*)::int AS count FROM graphile_worker._private_jobs'))[0]?.count;

test.each(listed.map((endpoint): [string, Endpoint] => [endpoint.id, endpoint]))('%s › one row in the trail', async (_id, endpoint) => {
  const { shop, action, send } = await prepare(endpoint);
  const before = new Set((await trail(shop.tenant.id)).map(({ id }) => id));
  expect(String(await send())).toMatch(/^2/);
  const added = (await trail(shop.tenant.id)).filter(({ id }) => !before.has(id));
  expect(added.map((row) => row.action)).toEqual([action]);
});

describe('the trail cannot be written', () => {
  beforeAll(() => admin('REVOKE INSERT ON audit_logs FROM autoshop_app'));
  afterAll(() => admin('GRANT INSERT ON audit_logs TO autoshop_app'));

  test.each(listed.map((endpoint): [string, Endpoint] => [endpoint.id, endpoint]))('%s › 500, nothing changed', async (_id, endpoint) => {
    const { shop, send } = await prepare(endpoint);
    const [before, waiting] = [await fingerprint(shop.tenant.id, tables), await jobs()];
    expect(await send()).toBe(500);
    expect([await fingerprint(shop.tenant.id, tables), await jobs()]).toEqual([before, waiting]);
  });
});
