/** Who may do what with invoices, their payments and documents: roles, other tenants, customers and strangers. */
import {
  type Appointment,
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createServiceOperation,
  createStaff,
  createTenant,
  type Tenant,
} from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

type Caller = 'Owner' | 'Advisor' | 'Accountant' | 'Technician' | 'Customer' | 'nobody';
const CALLERS: readonly Caller[] = ['Owner', 'Advisor', 'Accountant', 'Technician', 'Customer', 'nobody'];
const OFFICE: readonly Caller[] = ['Owner', 'Advisor', 'Accountant'];
const BOOKS: readonly Caller[] = ['Owner', 'Accountant'];

let app: TestApp;
let tenant: Tenant;
let person: Customer;
let agents: Record<Caller, Agent>;
let stranger: Agent;
let bundle: string;

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  person = await createCustomer({ tenant, canLogIn: true });
  const staff = async (role: 'Owner' | 'Advisor' | 'Accountant' | 'Technician') => actAs(app, await createStaff({ tenant, role }));
  agents = {
    Owner: await staff('Owner'),
    Advisor: await staff('Advisor'),
    Accountant: await staff('Accountant'),
    Technician: await staff('Technician'),
    Customer: await actAs(app, person),
    nobody: app.agent().set('X-Tenant-Id', tenant.id),
  };
  stranger = await actAs(app, await createStaff({ tenant: await createTenant(), role: 'Owner' }));
  const child = await createServiceOperation({ tenant });
  const { body } = await agents.Owner.post('/api/admin/service-operations').send({
    name: 'Bundle',
    category: 'OTHER',
    is_package: true,
    package_items: [{ child_id: child.id }],
  });
  bundle = body.data.id;
});

interface Target {
  appointment: Appointment;
  id: string;
  payment: string;
}

/** A completed visit; unless it is to be invoiced yet, with an invoice that is sent and partly paid. */
async function target(invoiced: boolean): Promise<Target> {
  const appointment = await createAppointment({ tenant, customer: person, status: 'COMPLETED' });
  await addAppointmentService(appointment, { columns: { estimated_price_cents: 10_000 } });
  if (!invoiced) return { appointment, id: '', payment: '' };
  const id: string = (await agents.Owner.post(`/api/admin/appointments/${appointment.id}/invoice`)).body.data.id;
  const paid = await agents.Owner.post(`/api/admin/invoices/${id}/payments`).send({ amountCents: 100, method: 'cash' });
  return { appointment, id, payment: paid.body.data.payment.id };
}

interface Call {
  name: string;
  send: (agent: Agent, target: Target) => ReturnType<Agent['get']>;
  ok: number;
  may: readonly Caller[];
  /** What the owner of another shop reads; default that there is no such invoice. */
  missing?: string | null;
  invoiced?: false;
}
const read = (path: string, may: readonly Caller[] = OFFICE): Call => ({
  name: `GET ${path}`,
  send: (a, t) => a.get(path.replace(':id', t.id)),
  ok: 200,
  may,
});
const post = (tail: string, body: object, ok: number, may = OFFICE): Call => ({
  name: `POST /api/admin/invoices/:id/${tail}`,
  send: (a, t) => a.post(`/api/admin/invoices/${t.id}/${tail.replace(':pid', t.payment)}`).send(body),
  ok,
  may,
});

const CALLS: readonly Call[] = [
  {
    name: 'POST /api/admin/appointments/:id/invoice',
    send: (a, t) => a.post(`/api/admin/appointments/${t.appointment.id}/invoice`),
    ok: 201,
    may: OFFICE,
    missing: 'Appointment not found',
    invoiced: false,
  },
  {
    name: 'POST /api/invoices',
    send: (a, t) => a.post('/api/invoices').send({ appointment_id: String(t.appointment.id) }),
    ok: 201,
    may: OFFICE,
    missing: 'Appointment not found',
    invoiced: false,
  },
  { ...read('/api/admin/invoices'), missing: null },
  { ...read('/api/invoices', [...OFFICE, 'Customer']), missing: null },
  read('/api/admin/invoices/:id'),
  read('/api/invoices/:id', [...OFFICE, 'Customer']),
  ...['estimate.pdf', 'receipt.pdf', 'estimate.html', 'receipt.html', 'pdf'].map((file) => read(`/api/admin/invoices/:id/${file}`)),
  read('/api/invoices/:id/pdf', [...OFFICE, 'Customer']),
  read('/admin/invoices/:id/receipt.html'),
  read('/admin/invoices/:id/receipt.pdf'),
  post('payments', { amountCents: 1, method: 'card' }, 201),
  post('payments/:pid/void', {}, 200),
  post('refunds', { amountCents: 1, method: 'card' }, 201, BOOKS),
  post('void', {}, 200),
  { ...post('add-package', {}, 200), send: (a, t) => a.post(`/api/admin/invoices/${t.id}/add-package`).send({ package_id: bundle }) },
  post('send', { destinationEmail: 'someone@example.com' }, 202),
];

describe.each(CALLS)('$name', ({ send, ok, may, missing = 'Invoice not found', invoiced = true }) => {
  test.each(CALLERS)('by %s', async (caller) => {
    const { status, body } = await send(agents[caller], await target(invoiced));
    if (may.includes(caller)) expect(status).toBe(ok);
    else if (caller === 'nobody')
      expect([status, body.error]).toEqual([401, { code: 'auth_required', message: 'Missing or invalid authorization token' }]);
    else {
      expect([status, body.data, body.error.code]).toEqual([403, null, 'forbidden']);
      expect(body.message).toMatch(may === BOOKS ? /^Insufficient permissions/ : /^Insufficient permissions\. Required role: Advisor$/);
    }
  });

  test('by the owner of another shop › nothing of this one', async () => {
    const { status, body } = await send(stranger, await target(invoiced));
    if (missing === null) expect([status, body.data.items, body.data.total_items]).toEqual([200, [], 0]);
    else expect([status, body.error]).toEqual([404, { code: 'not_found', message: missing }]);
  });
});
