/** A shop with at least one row in every table of a tenant, each carrying the shop's own mark where it holds text. */
import { randomBytes, randomUUID } from 'node:crypto';
import { admin } from './database';
import {
  type Appointment,
  addAppointmentService,
  type Customer,
  createAppointment,
  createCustomer,
  createInvoice,
  createPayment,
  createServiceOperation,
  createStaff,
  createTechnician,
  createTenant,
  createVehicle,
  type ServiceOperation,
  type Staff,
  type Technician,
  type Tenant,
  type Vehicle,
} from './factories';

export interface FullShop {
  tenant: Tenant;
  /** Word that occurs in the texts of this shop and nowhere else. */
  mark: string;
  owner: Staff;
  customer: Customer;
  vehicle: Vehicle;
  technician: Technician;
  operation: ServiceOperation;
  appointment: Appointment;
  line: { id: string };
  message: { id: string };
  template: { id: string; slug: string };
  invoice: { id: string };
  payment: { id: string };
}

export async function createFullShop(): Promise<FullShop> {
  const mark = `zq${randomBytes(4).toString('hex')}`;
  const tenant = await createTenant({ name: `Shop ${mark}`, settings: { public_catalog: true, public_booking: true } });
  const owner = await createStaff({ tenant, role: 'Owner', name: `Owner ${mark}` });
  const customer = await createCustomer({ tenant, canLogIn: true, columns: { name: `Customer ${mark}` } });
  const vehicle = await createVehicle({ customer, columns: { make: `Make${mark}`, license_plate: mark.toUpperCase() } });
  const technician = await createTechnician({ tenant, columns: { name: `Technician ${mark}` } });
  const operation = await createServiceOperation({ tenant, columns: { name: `Operation ${mark}` } });
  const bundle = await createServiceOperation({ tenant, columns: { name: `Package ${mark}`, is_package: true } });
  const appointment = await createAppointment({ tenant, customer, vehicle, technician, columns: { title: `Visit ${mark}`, notes: mark } });
  const line = await addAppointmentService(appointment, { operation, columns: { name: `Line ${mark}` } });
  const invoice = await createInvoice({ appointment, customer, totalCents: 5_000 });
  const payment = await createPayment({ appointment, invoice, amountCents: 1_000 });
  const add = (sql: string, ...values: unknown[]) => admin(sql, [tenant.id, ...values]);
  await add('INSERT INTO invoice_counters (tenant_id, next) VALUES ($1, 2)');
  await add('INSERT INTO package_items (tenant_id, service_id, child_id) VALUES ($1, $2, $3)', bundle.id, operation.id);
  await add(
    `INSERT INTO appointment_status_history (tenant_id, appointment_id, to_status, actor_id, source) VALUES ($1, $2, 'SCHEDULED', $3, 'create')`,
    appointment.id,
    owner.id,
  );
  await add(
    `INSERT INTO invoice_line_items (tenant_id, invoice_id, position, name, quantity, unit_price_cents, line_subtotal_cents, total_cents)
      VALUES ($1, $2, 0, $3, 1, 5000, 5000, 5000)`,
    invoice.id,
    `Line ${mark}`,
  );
  const [message = { id: '' }] = await admin<{ id: string }>(
    `INSERT INTO messages (tenant_id, appointment_id, channel, direction, status, body) VALUES ($1, $2, 'sms', 'out', 'delivered', $3) RETURNING id`,
    [tenant.id, appointment.id, mark],
  );
  const [template = { id: '', slug: '' }] = await admin<{ id: string; slug: string }>(
    `INSERT INTO message_templates (tenant_id, slug, label, channel, body) VALUES ($1, $2, $2, 'sms', $2) RETURNING id, slug`,
    [tenant.id, mark],
  );
  await add(
    `INSERT INTO template_usage_events (tenant_id, template_id, channel, user_id, hash) VALUES ($1, $2, 'sms', $3, $4)`,
    template.id,
    owner.id,
    mark,
  );
  await add(
    `INSERT INTO notification_log (tenant_id, appointment_id, notification_type, start_ts) VALUES ($1, $2, 'reminder_24h', $3)`,
    appointment.id,
    appointment.start,
  );
  await add(`INSERT INTO inbound_messages (tenant_id, provider_id, outcome) VALUES ($1, $2, 'text')`, mark);
  await add(
    `INSERT INTO customer_notes (tenant_id, customer_id, author_id, author_name, author_role, content) VALUES ($1, $2, $3, $4, 'Owner', $5)`,
    customer.id,
    owner.id,
    owner.name,
    mark,
  );
  await add(
    `INSERT INTO customer_audits (tenant_id, customer_id, actor_id, fields_changed) VALUES ($1, $2, $3, '{}')`,
    customer.id,
    owner.id,
  );
  await add(`INSERT INTO vehicle_audits (tenant_id, vehicle_id, actor_id, fields_changed) VALUES ($1, $2, $3, '{}')`, vehicle.id, owner.id);
  await add(
    `INSERT INTO vehicle_audit_log (tenant_id, vehicle_id, action, performed_by) VALUES ($1, $2, 'create', $3)`,
    vehicle.id,
    owner.id,
  );
  await add(
    `INSERT INTO audit_logs (tenant_id, user_id, action, entity, entity_id) VALUES ($1, $2, 'TEST', 'customer', $3)`,
    owner.id,
    String(customer.id),
  );
  await add(
    `INSERT INTO idempotency_keys (tenant_id, actor, method, route, key, body_hash, status, response) VALUES ($1, $2, 'POST', 'test', $3, 'x', 200, '{}')`,
    owner.id,
    randomUUID(),
  );
  return { tenant, mark, owner, customer, vehicle, technician, operation, appointment, line, message, template, invoice, payment };
}

/** Fingerprint of all rows of a tenant in the given tables, read past row-level security. */
export async function fingerprint(tenantId: string, tables: readonly string[]): Promise<Record<string, string>> {
  const prints: Record<string, string> = {};
  for (const table of tables) {
    const [row] = await admin<{ print: string }>(
      `SELECT count(*) || ':' || md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS print FROM ${table} t WHERE tenant_id = $1`,
      [tenantId],
    );
    prints[table] = row?.print ?? '';
  }
  return prints;
}
