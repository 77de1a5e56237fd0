/**
 * Rows for tests, past the service: each test builds its own tenant and what it needs in it. Names and numbers are unique in the
 * whole database, so tests never meet. Values of the wire (dollars, ids as text) are the service's business; these are the table's.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { hashPassword } from '../../lib/passwords';
import { admin } from './database';

export const PASSWORD = 'Wrench-and-ratchet-7';
const MINUTE_MS = 60_000;
const DEFAULT_BLOCK_MINUTES = 60;

const unique = (): string => randomBytes(5).toString('hex');
/** Ten digits that no other test uses. */
const uniquePhone = (): string => `+1555${String(randomBytes(6).readUIntBE(0, 6) % 10_000_000).padStart(7, '0')}`;

/** Hashing costs what it costs in production, so each password is hashed once in a test file. */
const hashes = new Map<string, Promise<string>>();
function hashOnce(password: string): Promise<string> {
  const known = hashes.get(password) ?? hashPassword(password);
  hashes.set(password, known);
  return known;
}

/** INSERT of the given columns, those left `undefined` apart. */
async function insert<Row extends object>(table: string, values: Record<string, unknown>): Promise<Row> {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  const columns = entries.map(([column]) => column).join(', ');
  const places = entries.map((_, index) => `$${index + 1}`).join(', ');
  const [row] = await admin<Row>(
    `INSERT INTO ${table} (${columns}) VALUES (${places}) RETURNING *`,
    entries.map(([, value]) => value),
  );
  if (!row) throw new Error(`No row from ${table}`);
  return row;
}

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly timeZone: string;
}

export async function createTenant({
  name = 'Test shop',
  timeZone = 'America/Los_Angeles',
  status = 'active',
  settings = {},
}: {
  name?: string;
  timeZone?: string;
  status?: 'active' | 'suspended' | 'cancelled' | 'trial';
  settings?: Record<string, unknown>;
} = {}): Promise<Tenant> {
  const [id, slug] = [randomUUID(), `shop-${unique()}`];
  await insert('tenants', { id, slug, name, timezone: timeZone, status });
  await insert('tenant_settings', { tenant_id: id, ...settings });
  return { id, slug, name, timeZone };
}

export type StaffRole = 'Owner' | 'Advisor' | 'Accountant' | 'Technician';

export interface Staff {
  readonly id: string;
  readonly tenant: Tenant;
  readonly role: StaffRole;
  readonly username: string;
  readonly email: string;
  readonly name: string;
  readonly password: string;
}

/** A staff account with a membership of the tenant, which is also its default. */
export async function createStaff({
  tenant,
  role = 'Advisor',
  name = `${role} ${unique()}`,
  password = PASSWORD,
  isActive = true,
}: {
  tenant: Tenant;
  role?: StaffRole;
  name?: string;
  password?: string;
  isActive?: boolean;
}): Promise<Staff> {
  const username = `${role.toLowerCase()}-${unique()}`;
  const email = `${username}@staff.example`;
  const { id } = await insert<{ id: string }>('staff_users', {
    username,
    email,
    name,
    password_hash: await hashOnce(password),
    is_active: isActive,
    default_tenant_id: tenant.id,
  });
  await insert('staff_tenant_memberships', { staff_id: id, tenant_id: tenant.id, role });
  return { id, tenant, role, username, email, name, password };
}

/** Another membership for the same person. */
export async function addMembership(staff: Staff, tenant: Tenant, role: StaffRole = staff.role): Promise<void> {
  await insert('staff_tenant_memberships', { staff_id: staff.id, tenant_id: tenant.id, role });
}

export interface Customer {
  readonly id: number;
  readonly tenant: Tenant;
  readonly name: string;
  readonly email: string;
  readonly phone: string;
  /** Empty unless created with `canLogIn`. */
  readonly password: string;
}

export async function createCustomer({
  tenant,
  canLogIn = false,
  password = PASSWORD,
  columns = {},
}: {
  tenant: Tenant;
  canLogIn?: boolean;
  password?: string;
  /** Any further column of `customers`. */
  columns?: Record<string, unknown>;
}): Promise<Customer> {
  const mark = unique();
  const values = { name: `Customer ${mark}`, email: `${mark}@customer.example`, phone: uniquePhone(), ...columns };
  const { id } = await insert<{ id: string }>('customers', { tenant_id: tenant.id, ...values });
  if (canLogIn) {
    await insert('customer_auth', { tenant_id: tenant.id, customer_id: id, email: values.email, password_hash: await hashOnce(password) });
    await insert('user_tenant_memberships', { tenant_id: tenant.id, user_id: id });
  }
  return { id: Number(id), tenant, name: values.name, email: values.email, phone: values.phone, password: canLogIn ? password : '' };
}

export interface Vehicle {
  readonly id: number;
  readonly customer: Customer;
  readonly make: string;
  readonly model: string;
  readonly year: number;
  readonly vin: string;
  readonly plate: string;
}

const VIN_LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ0123456789';
const uniqueVin = (): string => [...randomBytes(17)].map((byte) => VIN_LETTERS[byte % VIN_LETTERS.length]).join('');

export async function createVehicle({
  customer,
  columns = {},
}: {
  customer: Customer;
  columns?: Record<string, unknown>;
}): Promise<Vehicle> {
  const values = { make: 'Aurora', model: 'Hatch', year: 2019, vin: uniqueVin(), license_plate: unique().toUpperCase(), ...columns };
  const { id } = await insert<{ id: string }>('vehicles', { tenant_id: customer.tenant.id, customer_id: customer.id, ...values });
  const { make, model, year, vin, license_plate: plate } = values;
  return { id: Number(id), customer, make, model, year, vin, plate };
}

export interface Technician {
  readonly id: string;
  readonly tenant: Tenant;
  readonly name: string;
  readonly initials: string;
}

/** Unique in this process, which is all that a tenant of one test file needs: AAAA, AAAB, … */
let technicians = 0;
function nextInitials(): string {
  technicians += 1;
  return [3, 2, 1, 0].map((place) => String.fromCharCode(65 + (Math.floor(technicians / 26 ** place) % 26))).join('');
}

export async function createTechnician({
  tenant,
  columns = {},
}: {
  tenant: Tenant;
  columns?: Record<string, unknown>;
}): Promise<Technician> {
  const letters = nextInitials();
  const values = { name: `Technician ${letters}`, initials: letters, ...columns };
  const { id } = await insert<{ id: string }>('technicians', { tenant_id: tenant.id, ...values });
  return { id, tenant, name: values.name, initials: values.initials };
}

export interface ServiceOperation {
  readonly id: string;
  readonly tenant: Tenant;
  readonly name: string;
  readonly code: string;
  readonly priceCents: number;
}

export async function createServiceOperation({
  tenant,
  columns = {},
}: {
  tenant: Tenant;
  columns?: Record<string, unknown>;
}): Promise<ServiceOperation> {
  const mark = unique();
  const values = {
    id: `op-${mark}`,
    internal_code: `OP-${mark.toUpperCase()}`,
    name: `Operation ${mark}`,
    category: 'MAINTENANCE',
    default_hours: 1,
    default_price_cents: 12_000,
    ...columns,
  };
  const search = `${values.name} ${values.internal_code} ${values.category}`.toLowerCase();
  await insert('service_operations', { tenant_id: tenant.id, search, ...values });
  return { id: values.id, tenant, name: values.name, code: values.internal_code, priceCents: values.default_price_cents };
}

export type AppointmentStatus = 'SCHEDULED' | 'IN_PROGRESS' | 'READY' | 'COMPLETED' | 'NO_SHOW' | 'CANCELED';

export interface Appointment {
  readonly id: number;
  readonly tenant: Tenant;
  readonly status: AppointmentStatus;
  readonly start: Date;
  readonly end: Date;
}

/** Default: tomorrow on the full hour, one hour, nobody's. With a vehicle it is that customer's, and linked to the vehicle. */
export async function createAppointment({
  tenant,
  customer,
  vehicle,
  technician,
  status = 'SCHEDULED',
  start = nextFullHour(),
  minutes = DEFAULT_BLOCK_MINUTES,
  columns = {},
}: {
  tenant: Tenant;
  customer?: Customer;
  vehicle?: Vehicle;
  technician?: Technician;
  status?: AppointmentStatus;
  start?: Date;
  minutes?: number;
  columns?: Record<string, unknown>;
}): Promise<Appointment> {
  const end = new Date(start.getTime() + minutes * MINUTE_MS);
  const { id } = await insert<{ id: string }>('appointments', {
    tenant_id: tenant.id,
    customer_id: customer?.id ?? vehicle?.customer.id,
    vehicle_id: vehicle?.id,
    tech_id: technician?.id,
    status,
    start_ts: start,
    end_ts: end,
    block_end_ts: end,
    title: 'Oil change',
    ...columns,
  });
  if (vehicle) await insert('appointment_vehicles', { tenant_id: tenant.id, appointment_id: id, vehicle_id: vehicle.id });
  return { id: Number(id), tenant, status, start, end };
}

function nextFullHour(): Date {
  const HOUR_MS = 60 * MINUTE_MS;
  return new Date((Math.floor(Date.now() / HOUR_MS) + 24) * HOUR_MS);
}

/** One service line of an appointment. */
export async function addAppointmentService(
  appointment: Appointment,
  { operation, columns = {} }: { operation?: ServiceOperation; columns?: Record<string, unknown> } = {},
): Promise<{ id: string }> {
  const { id } = await insert<{ id: string }>('appointment_services', {
    tenant_id: appointment.tenant.id,
    appointment_id: appointment.id,
    service_operation_id: operation?.id,
    name: operation?.name ?? 'Inspection',
    estimated_hours: 1,
    estimated_price_cents: operation?.priceCents ?? 5_000,
    ...columns,
  });
  return { id };
}

/** An invoice over `totalCents`, without tax, for an appointment of a customer. */
export async function createInvoice({
  appointment,
  customer,
  totalCents,
  columns = {},
}: {
  appointment: Appointment;
  customer?: Customer;
  totalCents: number;
  columns?: Record<string, unknown>;
}): Promise<{ id: string; number: number }> {
  const tenantId = appointment.tenant.id;
  const [next] = await admin<{ number: string }>('SELECT coalesce(max(number), 0) + 1 AS number FROM invoices WHERE tenant_id = $1', [
    tenantId,
  ]);
  const { id, number } = await insert<{ id: string; number: string }>('invoices', {
    tenant_id: tenantId,
    number: next?.number,
    appointment_id: appointment.id,
    customer_id: customer?.id,
    status: 'SENT',
    subtotal_cents: totalCents,
    total_cents: totalCents,
    amount_due_cents: totalCents,
    ...columns,
  });
  return { id, number: Number(number) };
}

/** A payment row alone; the sums on invoice and appointment are the caller's. */
export async function createPayment({
  appointment,
  invoice,
  amountCents,
  columns = {},
}: {
  appointment: Appointment;
  invoice: { id: string };
  amountCents: number;
  columns?: Record<string, unknown>;
}): Promise<{ id: string }> {
  return insert<{ id: string }>('payments', {
    tenant_id: appointment.tenant.id,
    invoice_id: invoice.id,
    appointment_id: appointment.id,
    amount_cents: amountCents,
    method: 'card',
    recorded_by: 'test',
    ...columns,
  });
}
