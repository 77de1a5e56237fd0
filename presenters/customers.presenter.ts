/** Customers on the wire: search rows, the look-up by phone, created and changed customers. */
import type { LookupRow, SearchRow } from '../models/customer-lists.queries';
import type { CustomerFields } from '../models/customers.queries';
import type { CustomerCreated, CustomerUpdated, LookupReply, SearchItem } from '../schemas/customers.schema';

const CENTS = 100;

export const presentSearchRow = (row: SearchRow): SearchItem => ({
  vehicleId: row.vehicle_id === null ? null : String(row.vehicle_id),
  customerId: String(row.customer_id),
  name: row.name,
  phone: row.phone,
  email: row.email,
  plate: row.plate,
  vehicle: row.vehicle,
  visitsCount: row.visits,
  lastVisit: row.last_visit_at?.toISOString() ?? null,
  totalSpent: row.spent_cents / CENTS,
  lastServiceAt: row.last_service_at?.toISOString() ?? null,
  isVip: row.is_vip,
  isOverdueForService: row.is_overdue,
});

interface FoundCustomer {
  id: string;
  full_name: string;
  phone: string | null;
  email: string | null;
}

/** The customers among search rows, each once, in the same order. */
export function presentFoundCustomers(rows: readonly SearchRow[]): FoundCustomer[] {
  const customers = new Map<number, FoundCustomer>();
  for (const { customer_id: id, name, phone, email } of rows) {
    if (!customers.has(id)) customers.set(id, { id: String(id), full_name: name, phone, email });
  }
  return [...customers.values()];
}

/** One match is shown with its cars; several are told apart by name, contact and number of cars. */
export function presentLookup(rows: readonly LookupRow[]): LookupReply {
  const [first] = rows;
  if (!first) return { found: false, multiple_matches: false, customer: null };
  if (rows.length > 1) {
    const customers = rows.map(({ id, name, email, phone, vehicles }) => ({
      id: String(id),
      name,
      email: email ?? '',
      phone: phone ?? '',
      vehicle_count: vehicles.length,
    }));
    return { found: true, multiple_matches: true, customer: null, customers };
  }
  const vehicles = first.vehicles.map((vehicle) => ({
    ...vehicle,
    id: String(vehicle.id),
    license_plate: vehicle.license_plate ?? '',
    vin: vehicle.vin ?? '',
    notes: vehicle.notes ?? '',
  }));
  return { found: true, multiple_matches: false, customer: { id: String(first.id), name: first.name, email: first.email ?? '', vehicles } };
}

export const presentCreatedCustomer = (customer: CustomerFields, etag: string): CustomerCreated => ({
  id: customer.id,
  name: customer.name,
  email: customer.email,
  phone: customer.phone,
  is_vip: customer.is_vip,
  address: customer.address,
  tags: customer.tags,
  created_at: customer.created_at,
  updated_at: customer.updated_at,
  _etag: etag,
});

export const presentUpdatedCustomer = (customer: CustomerFields, etag: string): CustomerUpdated => ({
  id: Number(customer.id),
  name: customer.name,
  full_name: customer.name,
  email: customer.email,
  phone: customer.phone,
  address: customer.address,
  tags: customer.tags,
  notes: customer.notes,
  sms_consent: customer.sms_consent,
  preferred_contact_method: customer.preferred_contact_method,
  preferred_contact_time: customer.preferred_contact_time,
  _etag: etag,
});
