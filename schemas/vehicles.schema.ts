/** Requests and replies about vehicles. */
import { z } from 'zod';
import { Instant } from './common.schema';
import { Paging, pageOf, QueryText } from './customers.schema';
import { ClearableText, ModelYear, Plate, requiredOr, Vin } from './identity.schema';

const Text = z.string().nullable();

export const VehicleReply = z
  .object({
    id: z.int(),
    customer_id: z.int(),
    make: z.string(),
    model: z.string(),
    year: z.int().nullable(),
    vin: Text,
    license_plate: Text,
    notes: Text,
    is_primary: z.boolean(),
    is_active: z.boolean(),
  })
  .meta({ id: 'Vehicle' });
export type VehicleReply = z.infer<typeof VehicleReply>;

export const VehiclePage = pageOf(VehicleReply.extend({ created_at: Instant, updated_at: Instant })).meta({ id: 'VehiclePage' });
export const VehicleItems = z.object({ items: z.array(VehicleReply), total: z.int() }).meta({ id: 'VehicleItems' });
export const VehiclesOfCustomer = z.object({ vehicles: z.array(VehicleReply) }).meta({ id: 'VehiclesOfCustomer' });

export const ListVehicles = Paging.extend({
  customer_id: QueryText,
  vin: QueryText,
  make: QueryText,
  model: QueryText,
  year: QueryText,
  q: QueryText,
  active: QueryText,
});
export type ListVehicles = z.infer<typeof ListVehicles>;

export const SearchVehicles = z.object({ vin: QueryText });

const Name = (max: number) =>
  z.preprocess((value) => (typeof value === 'string' ? value.trim() : value), z.string('required').min(1, 'required').max(max, 'too_long'));
/** '' and null change nothing, because a car always has a make and a model. */
const KeptName = (max: number) =>
  z.preprocess(
    (value) => (value === null || (typeof value === 'string' && value.trim() === '') ? undefined : value),
    z.string('invalid').trim().max(max, 'too_long').optional(),
  );
/** A person's id as number or digits. */
export const CustomerIdInput = z.preprocess(
  (value) => {
    if (value === null || value === '') return undefined;
    return typeof value === 'string' && /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : value;
  },
  z.int({ error: requiredOr('invalid') }).positive('invalid'),
);

/** More than any car has run, and within the column's range. */
const MAX_MILEAGE = 9_999_999;

const NewVehicleFields = z.object({
  make: Name(100),
  model: Name(100),
  year: z.preprocess((value) => (value === null || value === '' ? undefined : value), ModelYear),
  vin: Vin.optional(),
  license_plate: Plate.optional(),
  notes: ClearableText(1000).optional(),
  is_primary: z.boolean('must_be_boolean').nullish(),
  trim: ClearableText(100).optional(),
  color: ClearableText(50).optional(),
  mileage: z.int('invalid').min(0, 'invalid').max(MAX_MILEAGE, 'invalid').nullish(),
});

export const CreateOwnVehicle = NewVehicleFields.meta({ id: 'CreateOwnVehicle' });
export type CreateOwnVehicle = z.infer<typeof CreateOwnVehicle>;

export const CreateVehicle = NewVehicleFields.extend({ customer_id: CustomerIdInput }).meta({ id: 'CreateVehicle' });
export type CreateVehicle = z.infer<typeof CreateVehicle>;

/** The owner of a customer's own new car is the caller, whatever the body says. */
export const CreateRoleVehicle = NewVehicleFields.extend({ customer_id: CustomerIdInput.optional().catch(undefined) }).meta({
  id: 'CreateRoleVehicle',
});

/** Absent keeps; '' and null clear VIN, plate and notes, and change nothing elsewhere. */
export const UpdateVehicle = z
  .object({
    make: KeptName(100),
    model: KeptName(100),
    year: z.preprocess((value) => (value === null || value === '' ? undefined : value), ModelYear.optional()),
    vin: Vin.optional(),
    license_plate: Plate.optional(),
    notes: ClearableText(1000).optional(),
    is_primary: z.boolean('must_be_boolean').nullish(),
    is_active: z.boolean('must_be_boolean').nullish(),
  })
  .meta({ id: 'UpdateVehicle' });
export type UpdateVehicle = z.infer<typeof UpdateVehicle>;

/** The words for a bad customer_id differ from those of other fields, so the service checks it. */
export const TransferVehicle = z.object({ customer_id: z.unknown().optional() }).meta({ id: 'TransferVehicle' });
export const VehicleTransferred = z.object({ success: z.literal(true), vehicle: VehicleReply.omit({ notes: true }) }).meta({
  id: 'VehicleTransferred',
});

const MAX_BULK = 100;
export const TransferVehicles = z
  .object({
    vehicle_ids: z
      .array(CustomerIdInput, 'must_be_array')
      .min(1, 'required')
      .max(MAX_BULK, 'too_many')
      .transform((ids) => [...new Set(ids)]),
    customer_id: z.unknown().optional(),
  })
  .meta({ id: 'TransferVehicles' });
export const VehiclesTransferred = z.object({ transferred: z.array(z.int()) }).meta({ id: 'VehiclesTransferred' });
