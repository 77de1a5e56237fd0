/** All rows of one seeded shop, by table, in an order that the foreign keys allow. Pure: no database, no clock of its own. */
import { FIRST_TEMPLATES } from '../../models/first-templates';
import people from '../../models/seeds/people.json';
import wording from '../../models/seeds/wording.json';
import { inventBilling } from './billing';
import { dayOf, fillCalendar, startOfDay } from './calendar';
import { catalog } from './catalog';
import { type CustomerRow, inventCustomers, inventVehicles, visitors } from './people';
import { Random } from './random';
import type { StaffMember } from './staff';
import { inventWork, jobs } from './work';

export interface ShopPlan {
  readonly tenantId: string;
  readonly slug: string;
  readonly name: string;
  readonly timeZone: string;
  readonly customers: number;
  readonly vehicles: number;
  readonly appointments: number;
  readonly technicians: number;
  /** Exact number of visits of the first customer, so that comparisons have a page of known size. */
  readonly regularVisits: number;
  /** Share of the appointments before today. */
  readonly past: number;
  readonly occupancy: number;
  readonly invoiceShare: number;
  readonly staff: readonly StaffMember[];
  /** Customers who can log in: the first ones, in this order. */
  readonly logins: readonly { readonly email: string; readonly password: string }[];
  readonly seed: number;
}

/** Ids that the database has set aside for the rows, so that later inserts never meet them. */
export interface ReservedIds {
  readonly customers: readonly number[];
  readonly vehicles: readonly number[];
  readonly appointments: readonly number[];
}

/** Rows of one table; all of them have the same keys, which are column names. */
export interface TableRows {
  readonly table: string;
  readonly rows: readonly object[];
}

/** @param hashes password -> its hash, for every password of the plan */
export function inventShop(plan: ShopPlan, ids: ReservedIds, hashes: ReadonlyMap<string, string>, now: Date): TableRows[] {
  const random = new Random(plan.seed);
  const { tenantId, timeZone } = plan;
  const hash = (password: string): string => {
    const found = hashes.get(password);
    if (!found) throw new Error('Every password of a plan must be hashed first');
    return found;
  };
  const { operations, packages, packageItems } = catalog(tenantId);
  const technicians = inventTechnicians(random, plan, now);
  const customers = inventCustomers(random, { tenantId, ids: ids.customers, now, emailOf: (index) => plan.logins[index]?.email });
  const vehicles = inventVehicles(random, { tenantId, ids: ids.vehicles, owners: customers, now });
  const slots = fillCalendar(random, {
    now,
    timeZone,
    technicianIds: technicians.map(({ id }) => id),
    count: plan.appointments,
    past: plan.past,
    occupancy: plan.occupancy,
    estimate: jobs(random, operations),
  });
  const work = inventWork(random, {
    tenantId,
    appointmentIds: ids.appointments,
    slots,
    customers,
    vehicles,
    visitors: visitors(random, customers, vehicles),
    regularVisits: plan.regularVisits,
    operations,
    staff: plan.staff,
    now,
    today: startOfDay(now, timeZone),
    dayOf: (at) => dayOf(at, timeZone),
  });
  const { appointments, lines } = work;
  const billing = inventBilling(random, { tenantId, appointments, lines, operations, staff: plan.staff, now, share: plan.invoiceShare });
  const accounts = plan.logins.flatMap(({ email, password }, index) => {
    const customer = customers[index];
    return customer ? [{ tenant_id: tenantId, customer_id: customer.id, email, password_hash: hash(password) }] : [];
  });
  return [
    { table: 'tenant_settings', rows: [settings(tenantId)] },
    { table: 'technicians', rows: technicians },
    { table: 'service_operations', rows: [...operations, ...packages] },
    { table: 'package_items', rows: packageItems },
    { table: 'customers', rows: customers },
    { table: 'customer_auth', rows: accounts },
    {
      table: 'user_tenant_memberships',
      rows: accounts.map(({ customer_id }) => ({ tenant_id: tenantId, user_id: customer_id, role: 'Customer' })),
    },
    { table: 'vehicles', rows: vehicles },
    { table: 'appointments', rows: appointments },
    { table: 'appointment_vehicles', rows: work.links },
    { table: 'appointment_status_history', rows: work.history },
    { table: 'appointment_services', rows: lines },
    { table: 'invoices', rows: billing.invoices },
    { table: 'invoice_line_items', rows: billing.invoiceLines },
    { table: 'payments', rows: billing.payments },
    { table: 'message_templates', rows: FIRST_TEMPLATES.map((template) => ({ tenant_id: tenantId, ...template })) },
    { table: 'messages', rows: work.messages },
    { table: 'customer_notes', rows: inventNotes(random, { tenantId, customers, staff: plan.staff, now }) },
  ];
}

/** A shop that shows itself: its catalogue and booking page are open, and advisors may keep the catalogue. */
const settings = (tenantId: string): object => ({
  tenant_id: tenantId,
  tax_basis_points: 0,
  default_block_minutes: 60,
  advisor_can_edit_catalog: true,
  advisor_can_void: true,
  public_booking: true,
  public_catalog: true,
  quiet_from: '21:00',
  quiet_to: '08:00',
});

function inventTechnicians(random: Random, { tenantId, technicians }: ShopPlan, now: Date): { id: string; name: string }[] {
  const names = people.technicians.slice(0, technicians);
  if (names.length < technicians) throw new Error(`No more than ${people.technicians.length} technicians have names`);
  const hired = new Date(now.getTime() - 800 * 86_400_000);
  return names.map((name) => ({
    tenant_id: tenantId,
    id: random.uuid(),
    name,
    initials: name.replace(/[^A-Z]/g, ''),
    is_active: true,
    created_at: hired,
    updated_at: hired,
  }));
}

interface NoteOptions {
  tenantId: string;
  customers: readonly CustomerRow[];
  staff: readonly StaffMember[];
  now: Date;
}

function inventNotes(random: Random, { tenantId, customers, staff, now }: NoteOptions): object[] {
  return customers.flatMap((customer) =>
    Array.from(
      {
        length: random.weighted([
          [0, 70],
          [1, 20],
          [2, 10],
        ]),
      },
      () => {
        const author = random.pick(staff);
        const isAlert = random.chance(0.15);
        const at = new Date(customer.created_at.getTime() + random.next() * (now.getTime() - customer.created_at.getTime()));
        return {
          tenant_id: tenantId,
          customer_id: customer.id,
          author_id: author.id,
          author_name: author.name,
          author_role: author.role,
          content: random.pick(isAlert ? wording.customerAlerts : wording.customerNotes),
          is_alert: isAlert,
          created_at: at,
          updated_at: at,
        };
      },
    ),
  );
}
