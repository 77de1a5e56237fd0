/** Requests and replies about customers as the staff sees them. */
import { z } from 'zod';
import { Day, Instant } from './common.schema';
import { ClearableText, Email, Phone } from './identity.schema';

// ------------------------------------------------------------------ building blocks

/** Ids of customers, vehicles and appointments as most replies carry them. */
export const IdText = z.string().regex(/^\d+$/);
/** Dollars with two decimals. */
export const Amount = z.number();
const Text = z.string().nullable();
export const AppointmentStatusWord = z.enum(['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED']);

const DEFAULT_PAGE_SIZE = 25;
const MAX_PAGE_SIZE = 100;

/** A whole number from a query, or the default; never refused, since callers ask for more than there may be. */
export const QueryCount = ({ fallback, max }: { fallback: number; max: number }) =>
  z
    .string()
    .optional()
    .transform((text) => (text !== undefined && /^[1-9]\d*$/.test(text) ? Math.min(Number(text), max) : fallback));

/** `page` and `page_size` (alias `limit`). */
export const Paging = z.object({
  page: QueryCount({ fallback: 1, max: 1_000_000 }),
  page_size: z.string().optional(),
  limit: z.string().optional(),
});
export const pageSize = ({ page_size, limit }: { page_size?: string | undefined; limit?: string | undefined }): number =>
  QueryCount({ fallback: DEFAULT_PAGE_SIZE, max: MAX_PAGE_SIZE }).parse(page_size ?? limit);

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), page: z.int(), page_size: z.int(), total: z.int(), total_pages: z.int() });

/** Trimmed text from a query; '' when absent. */
export const QueryText = z
  .string()
  .optional()
  .transform((text) => text?.trim() ?? '');

// ------------------------------------------------------------------ list, search, look-up

export const ListCustomers = Paging.extend({ search: QueryText, filter: z.string().optional(), sort: z.string().optional() });
export type ListCustomers = z.infer<typeof ListCustomers>;

export const CustomerItem = z
  .object({
    id: IdText,
    name: z.string(),
    email: Text,
    phone: Text,
    is_vip: z.boolean(),
    address: Text,
    tags: z.array(z.string()),
    created_at: Instant,
    updated_at: Instant,
  })
  .meta({ id: 'CustomerItem' });
export const CustomerPage = pageOf(CustomerItem).meta({ id: 'CustomerPage' });

export const SearchCustomers = z.object({
  q: QueryText,
  limit: QueryCount({ fallback: DEFAULT_PAGE_SIZE, max: MAX_PAGE_SIZE }),
  filter: z.string().optional(),
  sortBy: z.string().optional(),
});
export type SearchCustomers = z.infer<typeof SearchCustomers>;

export const SearchItem = z
  .object({
    vehicleId: IdText.nullable(),
    customerId: IdText,
    name: z.string(),
    phone: Text,
    email: Text,
    plate: Text,
    vehicle: Text,
    visitsCount: z.int(),
    lastVisit: Instant.nullable(),
    totalSpent: Amount,
    lastServiceAt: Instant.nullable(),
    isVip: z.boolean(),
    isOverdueForService: z.boolean(),
  })
  .meta({ id: 'CustomerSearchItem' });
export type SearchItem = z.infer<typeof SearchItem>;
export const SearchReply = z.object({ items: z.array(SearchItem) }).meta({ id: 'CustomerSearch' });

export const RecentCustomers = z.object({ limit: QueryCount({ fallback: 8, max: 25 }) });
export const RecentCustomersReply = z
  .object({
    recent_customers: z.array(
      z.object({
        customerId: IdText,
        name: z.string(),
        phone: Text,
        email: Text,
        latestAppointmentId: IdText,
        latestAppointmentAt: Instant,
        latestStatus: AppointmentStatusWord,
        vehicles: z.array(z.object({ vehicleId: IdText, plate: Text, vehicle: z.string() })),
        totalSpent: Amount,
        visitsCount: z.int(),
        lastServiceAt: Instant.nullable(),
        isVip: z.boolean(),
        isOverdueForService: z.boolean(),
      }),
    ),
    limit: z.int(),
  })
  .meta({ id: 'RecentCustomers' });

export const LookupCustomer = z.object({ phone: QueryText });
/** Missing strings are '' here, since the dialog fills its fields with them. */
const LookupOne = z.object({
  id: IdText,
  name: z.string(),
  email: z.string(),
  vehicles: z.array(
    z.object({
      id: IdText,
      make: z.string(),
      model: z.string(),
      year: z.int().nullable(),
      license_plate: z.string(),
      vin: z.string(),
      is_primary: z.boolean(),
      notes: z.string(),
    }),
  ),
});
const LookupMany = z.object({ id: IdText, name: z.string(), email: z.string(), phone: z.string(), vehicle_count: z.int() });
export const LookupReply = z
  .object({
    found: z.boolean(),
    multiple_matches: z.boolean(),
    customer: LookupOne.nullable(),
    customers: z.array(LookupMany).optional(),
  })
  .meta({ id: 'CustomerLookup' });
export type LookupReply = z.infer<typeof LookupReply>;

// ------------------------------------------------------------------ create and change

const Name = z.preprocess(
  (value) => (typeof value === 'string' ? value.trim() : value),
  z.string('required').min(1, 'required').max(120, 'too_long'),
);

const MAX_TAGS = 10;
/** Trimmed, blanks dropped, each once in the order given; null is no tags. */
const Tags = z.preprocess(
  (value) => (value === null ? [] : value),
  z
    .array(z.string('must_be_string').trim().max(50, 'tag_too_long'), 'must_be_array')
    .transform((tags) => [...new Set(tags.filter((tag) => tag !== ''))])
    .refine((tags) => tags.length <= MAX_TAGS, 'too_many'),
);

const ContactMethod = z.preprocess(
  (value) => (value === null || (typeof value === 'string' && value.trim() === '') ? 'phone' : value),
  z.enum(['phone', 'email', 'sms'], 'invalid_method'),
);

/** Absent keeps, '' and null clear; other keys are ignored. */
const CustomerFields = z.object({
  email: Email.optional(),
  phone: Phone.optional(),
  address: ClearableText(500).optional(),
  tags: Tags.optional(),
  notes: ClearableText(1000).optional(),
  sms_consent: z.boolean('must_be_boolean').optional(),
  preferred_contact_method: ContactMethod.optional(),
  preferred_contact_time: ClearableText(50).optional(),
});

/** `full_name` is another word for `name`. */
const nameAlias = (body: unknown): unknown => {
  if (body === null || typeof body !== 'object' || Array.isArray(body)) return body;
  const { full_name, ...rest } = body as Record<string, unknown>;
  return full_name === undefined || 'name' in rest ? body : { ...rest, name: full_name };
};

export const UpdateCustomer = z.preprocess(nameAlias, CustomerFields.extend({ name: Name.optional() })).meta({ id: 'UpdateCustomer' });
export type UpdateCustomer = z.infer<typeof UpdateCustomer>;

export const CreateCustomer = z
  .preprocess(
    nameAlias,
    CustomerFields.extend({
      name: Name,
      address_line1: ClearableText(255).optional(),
      address_line2: ClearableText(255).optional(),
      city: ClearableText(120).optional(),
      state: ClearableText(60).optional(),
      zip_code: ClearableText(20).optional(),
    }),
  )
  .meta({ id: 'CreateCustomer' });
export type CreateCustomer = z.infer<typeof CreateCustomer>;

export const CustomerCreated = CustomerItem.extend({ _etag: z.string() }).meta({ id: 'CustomerCreated' });
export type CustomerCreated = z.infer<typeof CustomerCreated>;

export const CustomerUpdated = z
  .object({
    id: z.int(),
    name: z.string(),
    full_name: z.string(),
    email: Text,
    phone: Text,
    address: Text,
    tags: z.array(z.string()),
    notes: Text,
    sms_consent: z.boolean(),
    preferred_contact_method: z.enum(['phone', 'email', 'sms']),
    preferred_contact_time: Text,
    _etag: z.string(),
  })
  .meta({ id: 'CustomerUpdated' });
export type CustomerUpdated = z.infer<typeof CustomerUpdated>;

// ------------------------------------------------------------------ detail

export const GetCustomer = z.object({ include: z.string().optional() });

const VehicleOfAppointment = z.object({
  id: IdText,
  plate: Text,
  year: z.int().nullable(),
  make: z.string(),
  model: z.string(),
  vin: Text,
  display: Text,
});

export const Metrics = z.object({
  totalSpent: Amount,
  unpaidBalance: Amount,
  visitsCount: z.int(),
  completedCount: z.int(),
  avgTicket: Amount,
  lastServiceAt: Instant.nullable(),
  lastVisitAt: Instant.nullable(),
  last12MonthsSpent: Amount,
  last12MonthsVisits: z.int(),
  vehiclesCount: z.int(),
  isVip: z.boolean(),
  isOverdueForService: z.boolean(),
});

export const CustomerDetail = z
  .object({
    customer: z.object({
      id: IdText,
      name: z.string(),
      full_name: z.string(),
      phone: Text,
      email: Text,
      address: Text,
      isVip: z.boolean(),
      createdAt: Instant,
      updatedAt: Instant,
      customerSince: Day,
      relationshipDurationDays: z.int(),
      preferredContactMethod: z.string(),
      preferredContactTime: Text,
      tags: z.array(z.string()),
      notes: Text,
      sms_consent: z.boolean(),
      _etag: z.string(),
    }),
    vehicles: z.array(
      VehicleOfAppointment.extend({
        license_plate: Text,
        isPrimary: z.boolean(),
        is_primary: z.boolean(),
        isActive: z.boolean(),
        is_active: z.boolean(),
        visits: z.int(),
        completedServices: z.int(),
        totalSpent: Amount,
        lastServiceDate: Instant.nullable(),
        daysSinceLastService: z.int().nullable(),
        isOverdueForService: z.boolean(),
        lastRecordedMileage: z.int().nullable(),
        notes: Text,
        addedAt: Instant,
      }),
    ),
    appointments: z.array(
      z.object({
        id: IdText,
        status: AppointmentStatusWord,
        start: Instant,
        end: Instant.nullable(),
        totalAmount: Amount,
        paidAmount: Amount,
        unpaidAmount: Amount,
        checkInAt: Instant.nullable(),
        checkOutAt: Instant.nullable(),
        notes: Text,
        techId: Text,
        mileageAtService: z.int().nullable(),
        vehicle: VehicleOfAppointment.nullable(),
        services: z
          .array(
            z.object({
              id: z.uuid(),
              name: z.string(),
              notes: Text,
              estimated_price: Amount.nullable(),
              estimated_hours: z.number().nullable(),
              category: Text,
              service_operation_id: Text,
            }),
          )
          .optional(),
        payments: z.array(z.object({ id: z.uuid(), amount: Amount, method: z.string(), created_at: Instant, note: Text })).optional(),
        messages: z
          .array(
            z.object({
              id: z.uuid(),
              channel: z.string(),
              direction: z.string(),
              body: z.string(),
              status: z.string(),
              created_at: Instant,
            }),
          )
          .optional(),
      }),
    ),
    metrics: Metrics,
    includes: z.array(z.string()),
  })
  .meta({ id: 'CustomerDetail' });

// ------------------------------------------------------------------ export

export const ExportCustomers = z.object({ from: z.string().optional(), to: z.string().optional(), filter: z.string().optional() });
export type ExportCustomers = z.infer<typeof ExportCustomers>;
