/** Shapes of appointments: what clients send in their several spellings, and what they read. */
import { z } from 'zod';
import { NumericId } from './common.schema';
import {
  clearableText,
  Dollars,
  InstantText,
  OptionalId,
  OptionalInstant,
  OptionalWord,
  OptionalYear,
  optionalText,
  queryText,
} from './fields.schema';

export const APPOINTMENT_STATUSES = ['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW', 'CANCELED'] as const;
export type AppointmentStatus = (typeof APPOINTMENT_STATUSES)[number];
export const AppointmentStatus = z.enum(APPOINTMENT_STATUSES);

const isStatus = (word: string): word is AppointmentStatus => (APPOINTMENT_STATUSES as readonly string[]).includes(word);

/** A status in any case, `-` for `_`, with both spellings of canceled. */
export function parseStatus(word: string): AppointmentStatus | null {
  const normal = word
    .trim()
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^CANCELLED$/, 'CANCELED');
  return isStatus(normal) ? normal : null;
}

export const StatusWord = z.string().transform((word, ctx) => {
  const status = parseStatus(word);
  if (status) return status;
  ctx.addIssue({ code: 'custom', message: 'invalid' });
  return z.NEVER;
});

const TITLE_MAX = 255;
const NOTES_MAX = 5_000;
const ADDRESS_MAX = 500;
const CATEGORY_MAX = 100;
/** Lines of one appointment that one request may add. */
const OPERATIONS_MAX = 50;

const OperationIds = z.array(z.string().trim().max(100, 'too_long')).max(OPERATIONS_MAX, 'too_many').nullish();

// ------------------------------------------------------------------ requests

export const CreateAppointment = z
  .object({
    start_ts: OptionalInstant,
    start: OptionalInstant,
    requested_time: OptionalInstant,
    end_ts: OptionalInstant,
    end: OptionalInstant,
    status: StatusWord.nullish(),
    customer_id: OptionalWord,
    customer_name: optionalText(255),
    customer: optionalText(255),
    customer_phone: optionalText(30),
    customer_email: optionalText(254),
    vehicle_id: OptionalId,
    license_plate: optionalText(20),
    vin: optionalText(17),
    vehicle_vin: optionalText(17),
    vehicle_year: OptionalYear,
    vehicle_make: optionalText(100),
    vehicle_model: optionalText(100),
    service_operation_ids: OperationIds,
    primary_operation_id: optionalText(100),
    primaryOperationId: optionalText(100),
    service_category: optionalText(CATEGORY_MAX),
    serviceCategory: optionalText(CATEGORY_MAX),
    service: optionalText(TITLE_MAX),
    description: optionalText(NOTES_MAX),
    title: optionalText(TITLE_MAX),
    name: optionalText(TITLE_MAX),
    notes: optionalText(NOTES_MAX),
    location_address: optionalText(ADDRESS_MAX),
    tech_id: optionalText(100),
    techId: optionalText(100),
    total_amount: Dollars.nullish(),
    paid_amount: Dollars.nullish(),
    mileage_at_service: z.int('invalid').min(0, 'invalid').max(10_000_000, 'invalid').nullish(),
    sms_consent: z.boolean('invalid').nullish(),
  })
  .transform((body) => ({
    /** Start as the caller fixed it; too far in the past is refused. */
    start: body.start_ts ?? body.start,
    /** Start as the caller asked for it or remembers it; any past instant is accepted. */
    requestedTime: body.requested_time,
    end: body.end_ts ?? body.end,
    status: body.status ?? ('SCHEDULED' as const),
    customer: {
      id: body.customer_id,
      name: body.customer_name ?? body.customer,
      phone: body.customer_phone,
      email: body.customer_email,
    },
    vehicle: {
      id: body.vehicle_id,
      plate: body.license_plate,
      vin: body.vin ?? body.vehicle_vin,
      year: body.vehicle_year,
      make: body.vehicle_make,
      model: body.vehicle_model,
    },
    operationIds: body.service_operation_ids ?? [],
    primaryOperationId: body.primary_operation_id ?? body.primaryOperationId,
    serviceCategory: body.service_category ?? body.serviceCategory,
    title: body.title ?? body.name ?? body.service,
    notes: [body.notes, body.description].filter((text) => text !== null).join('\n') || null,
    locationAddress: body.location_address,
    techId: body.tech_id ?? body.techId,
    totalCents: body.total_amount ?? 0,
    paidCents: body.paid_amount ?? 0,
    mileage: body.mileage_at_service ?? null,
    smsConsent: body.sms_consent ?? false,
  }));
export type CreateAppointment = z.output<typeof CreateAppointment>;

/** PATCH and PUT: absent keeps, null clears. The second spelling of a field counts when the first is absent. */
export const UpdateAppointment = z
  .object({
    status: StatusWord.optional(),
    start: InstantText.optional(),
    start_ts: InstantText.optional(),
    end: OptionalInstant.optional(),
    end_ts: OptionalInstant.optional(),
    /** null clears the amount: the service lines count again. */
    total_amount: Dollars.nullable().optional(),
    paid_amount: Dollars.optional(),
    check_in_at: OptionalInstant.optional(),
    check_out_at: OptionalInstant.optional(),
    tech_id: clearableText(100),
    notes: clearableText(NOTES_MAX),
    title: clearableText(TITLE_MAX),
    location_address: clearableText(ADDRESS_MAX),
    customer_id: OptionalId.optional(),
    vehicle_id: OptionalId.optional(),
    service_operation_ids: z.array(z.string().trim().max(100, 'too_long')).max(OPERATIONS_MAX, 'too_many').optional(),
    license_plate: clearableText(20),
    vin: clearableText(17),
    vehicle_year: OptionalYear.optional(),
    vehicle_make: clearableText(100),
    vehicle_model: clearableText(100),
    primary_operation_id: clearableText(100),
    version: z.int('invalid').min(1, 'invalid').optional(),
  })
  .transform(({ start, end, ...body }) => ({
    ...body,
    start_ts: body.start_ts ?? start,
    end_ts: body.end_ts === undefined ? end : body.end_ts,
  }));
export type UpdateAppointment = z.output<typeof UpdateAppointment>;

export const MoveAppointment = z.object({
  status: StatusWord,
  /** 1 is the top of the column. */
  position: z.int('invalid').min(1, 'invalid').default(1),
  version: z.int('invalid').min(1, 'invalid').optional(),
});
export type MoveAppointment = z.output<typeof MoveAppointment>;

/** The id as written: moving an appointment that no number names is an invalid transition, not a missing page. */
export const ByRawId = z.object({ id: z.string() });
/** Arrival and departure: now, unless said otherwise. */
export const CheckTime = z.object({ at: OptionalInstant });
export type CheckTime = z.output<typeof CheckTime>;

export const ByIdAndLine = z.object({ id: NumericId, sid: z.string() });

const Count = (min: number, max: number) =>
  z.preprocess((value) => (value === '' ? undefined : value), z.coerce.number().int().min(min).max(max).optional());

export const ListAppointments = z.object({
  limit: Count(1, 200),
  offset: Count(0, Number.MAX_SAFE_INTEGER),
  cursor: queryText(),
  from: queryText(),
  to: queryText(),
  status: queryText(),
  techId: queryText(),
  q: queryText(),
  date: queryText(),
});
export type ListAppointments = z.output<typeof ListAppointments>;

// ------------------------------------------------------------------ replies

const Id = z.string().regex(/^\d+$/);
const MaybeId = Id.nullable();
const MaybeText = z.string().nullable();
const Moment = z.iso.datetime();
const MaybeMoment = Moment.nullable();
const Amount = z.number();

export const AppointmentItem = z
  .object({
    id: Id,
    customer_id: MaybeId,
    vehicle_id: MaybeId,
    status: AppointmentStatus,
    title: MaybeText,
    notes: MaybeText,
    total_amount: Amount.nullable(),
    paid_amount: Amount,
    start_ts: Moment,
    end_ts: MaybeMoment,
    start: Moment,
    end: MaybeMoment,
    customer_name: z.string(),
    customerName: z.string(),
    customer_phone: MaybeText,
    customer_email: MaybeText,
    vehicle_label: z.string(),
    location_address: MaybeText,
    service_id: MaybeText,
    tech_id: MaybeText,
    /** Day, time of day and minutes in the shop's zone. */
    date: z.iso.date(),
    time: z.string(),
    duration: z.number(),
  })
  .meta({ id: 'AppointmentItem' });

export const AppointmentList = z
  .object({ appointments: z.array(AppointmentItem), nextCursor: z.string().nullable() })
  .meta({ id: 'AppointmentList' });

export const VehicleSummary = z
  .object({
    id: Id,
    plate: MaybeText,
    license_plate: MaybeText,
    year: z.number().nullable(),
    make: z.string(),
    model: z.string(),
    vin: MaybeText,
    display: MaybeText,
  })
  .meta({ id: 'VehicleSummary' });

const DrawerAppointment = z
  .object({
    id: Id,
    status: AppointmentStatus,
    start: Moment,
    end: MaybeMoment,
    start_ts: Moment,
    end_ts: MaybeMoment,
    title: MaybeText,
    total_amount: Amount.nullable(),
    paid_amount: Amount,
    location_address: MaybeText,
    notes: MaybeText,
    check_in_at: MaybeMoment,
    check_out_at: MaybeMoment,
    started_at: MaybeMoment,
    completed_at: MaybeMoment,
    tech_id: MaybeText,
    customer_id: MaybeId,
    vehicle_id: MaybeId,
    invoice_id: MaybeText,
    primary_operation_id: MaybeText,
    service_category: MaybeText,
    version: z.number(),
    created_at: Moment,
    updated_at: Moment,
    service_operation_ids: z.array(z.string()),
    customer_name: z.string(),
    vehicle_label: z.string(),
  })
  .meta({ id: 'Appointment' });

const ServiceLineWithOperation = z.object({
  id: z.string(),
  appointment_id: Id,
  name: z.string(),
  notes: MaybeText,
  estimated_hours: z.number().nullable(),
  estimated_price: Amount.nullable(),
  category: MaybeText,
  service_operation_id: MaybeText,
  operation: z
    .object({
      id: z.string(),
      name: z.string(),
      category: z.string(),
      default_hours: z.number().nullable(),
      default_price: Amount.nullable(),
    })
    .nullable(),
});

export const AppointmentDrawer = z
  .object({
    appointment: DrawerAppointment,
    customer: z.object({ id: Id, name: z.string(), email: MaybeText, phone: MaybeText, vehicles: z.array(VehicleSummary) }).nullable(),
    vehicle: VehicleSummary.nullable(),
    services: z.array(ServiceLineWithOperation),
    service_operation_ids: z.array(z.string()),
    meta: z.object({ version: z.literal(1) }),
  })
  .meta({ id: 'AppointmentDrawer' });

const CreatedAppointment = DrawerAppointment.extend({
  vehicle: z
    .object({
      id: Id,
      make: z.string(),
      model: z.string(),
      year: z.number().nullable(),
      license_plate: MaybeText,
      vin: MaybeText,
      is_active: z.boolean(),
      total_services: z.number(),
      last_service_date: MaybeText,
    })
    .nullable(),
});

export const AppointmentCreated = z.object({ appointment: CreatedAppointment, id: Id }).meta({ id: 'AppointmentCreated' });

const BookingReceipt = z.object({ id: Id, status: AppointmentStatus, start_ts: Moment });
/** What an anonymous caller learns of the booking: nothing that was not in the request. */
export const BookingAccepted = BookingReceipt.extend({ appointment: BookingReceipt }).meta({ id: 'BookingAccepted' });

export const AppointmentUpdated = z
  .object({
    id: Id,
    status: AppointmentStatus,
    appointment: DrawerAppointment,
    updated_fields: z.array(z.string()),
    message: z.string().optional(),
  })
  .meta({ id: 'AppointmentUpdated' });

export const AppointmentMoved = z
  .object({ id: Id, status: AppointmentStatus, position: z.int(), version: z.int() })
  .meta({ id: 'AppointmentMoved' });

export const StatusReply = z.object({ id: Id, status: AppointmentStatus }).meta({ id: 'AppointmentStatusReply' });
export const CheckedIn = z.object({ id: Id, check_in_at: Moment }).meta({ id: 'AppointmentCheckedIn' });
export const CheckedOut = z.object({ id: Id, check_out_at: Moment }).meta({ id: 'AppointmentCheckedOut' });
