/** Visits on the wire: what kind of work each line was, and what is left of the warranty its notes promise. */
import type { VisitRow } from '../models/customer-history.queries';
import type { Visits } from '../schemas/customer-profiles.schema';

const CENTS = 100;
const DAY_MS = 86_400_000;
/** Dollars above which a part or a service is worth naming. */
const MAJOR_PRICE = 200;

type Visit = Visits['visits'][number];
type VisitService = Visit['services'][number];
type ServiceType = VisitService['service_type'];
type Warranty = VisitService['warranty'];

const PART_WORDS = /replacement|part|solenoid|filter|fluid/;
const PART_CATEGORY = /transmission|engine|brake/;

/** The kind of work, from the name first and the category second. */
export function serviceType(name: string, category: string | null): ServiceType {
  const [work, group] = [name.toLowerCase(), (category ?? '').toLowerCase()];
  if (/diagnostic|diagnosis/.test(work) || group.includes('diagnostic')) return 'Diagnostic';
  if (work.includes('labor') || group.includes('labor')) return 'Labor';
  if (PART_WORDS.test(work) || PART_CATEGORY.test(group)) return 'Parts';
  return 'Service';
}

const NO_WARRANTY: Warranty = { status: 'N/A', info: null, expires_at: null };
const WARRANTY = /warranty:\s*(\d{1,4})\s*(years?|months?)\s*\/\s*[\d,]+\s*miles/i;

/** "warranty: 2 years / 24,000 miles" in the notes counts from the end of the appointment, in whole years. */
export function warrantyOf(notes: string | null, end: Date | null, now: Date): Warranty {
  const promise = WARRANTY.exec(notes ?? '');
  if (!promise || end === null) return NO_WARRANTY;
  const amount = Number(promise[1]);
  const years = /^month/i.test(promise[2] ?? '') ? Math.floor(amount / 12) : amount;
  const expires = new Date(end);
  expires.setUTCFullYear(expires.getUTCFullYear() + years);
  const days = Math.floor(Math.abs(expires.getTime() - now.getTime()) / DAY_MS);
  const active = expires > now;
  return {
    status: active ? 'Active' : 'Expired',
    info: active ? `${days} days remaining` : `Expired ${days} days ago`,
    expires_at: expires.toISOString(),
  };
}

export function presentVisit(row: VisitRow, now: Date): Visit {
  const services = row.services.map(
    (service): VisitService => ({
      id: service.id,
      name: service.name,
      notes: service.notes,
      estimated_price: service.estimated_price,
      service_operation_id: service.service_operation_id,
      service_type: serviceType(service.name, service.category),
      warranty: warrantyOf(service.notes, row.end_ts, now),
    }),
  );
  const count = (type: ServiceType) => services.filter(({ service_type }) => service_type === type).length;
  const note = row.notes?.trim() ?? '';
  return {
    id: String(row.id),
    status: row.status as Visit['status'],
    start: row.start_ts.toISOString(),
    end: row.end_ts?.toISOString() ?? null,
    price: row.total_cents / CENTS,
    checkInAt: row.check_in_at?.toISOString() ?? null,
    checkOutAt: row.check_out_at?.toISOString() ?? null,
    vehicle: row.vehicle,
    plate: row.plate,
    services,
    notes: note === '' ? [] : [note],
    service_summary: { parts: count('Parts'), labor: count('Labor'), diagnostic: count('Diagnostic'), total_services: services.length },
    is_completed: row.status === 'COMPLETED',
    has_warranty_active: services.some(({ warranty }) => warranty.status === 'Active'),
    major_services: services
      .filter(({ service_type, estimated_price }) => ['Parts', 'Service'].includes(service_type) && (estimated_price ?? 0) > MAJOR_PRICE)
      .map(({ name }) => name),
  };
}
