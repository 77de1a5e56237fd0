/** What a signed-in person sees and changes about themselves. */
import { z } from 'zod';
import { Instant, Role } from './common.schema';
import { Email, ModelYear, Phone, Plate, Vin } from './identity.schema';

const Text = z.string().nullable();

/** The page asks this on every load to learn who is signed in, staff included; a staff id is text, a customer's a number. */
export const OwnProfile = z
  .object({
    id: z.union([z.int(), z.string()]),
    email: Text,
    name: z.string(),
    phone: Text,
    role: Role,
    tenant_id: z.guid(),
    sms_consent: z.boolean(),
    vehicles: z.array(
      z.object({
        id: z.int(),
        make: z.string(),
        model: z.string(),
        year: z.int().nullable(),
        license_plate: Text,
        vin: Text,
        is_primary: z.boolean(),
      }),
    ),
    created_at: Instant.nullable(),
  })
  .meta({ id: 'OwnProfile' });
export type OwnProfile = z.infer<typeof OwnProfile>;

const blankToUndefined = (value: unknown): unknown =>
  value === null || (typeof value === 'string' && value.trim() === '') ? undefined : value;
const CarName = z.preprocess(blankToUndefined, z.string('invalid').trim().max(100, 'too_long').optional());

/** A car with an id of the caller's is changed; without one, or with `temp-…`, it is new. Those left out stay as they are. */
export const OwnVehicleInput = z.object({
  id: z.union([z.string(), z.number()], 'invalid').nullish(),
  make: CarName,
  model: CarName,
  year: z.preprocess(blankToUndefined, ModelYear.optional()),
  license_plate: Plate.optional(),
  vin: Vin.optional(),
});
export type OwnVehicleInput = z.infer<typeof OwnVehicleInput>;

const MAX_VEHICLES = 50;
export const UpdateOwnProfile = z
  .object({
    email: Email.optional(),
    name: z.preprocess(
      (value) => (typeof value === 'string' ? value.trim() : value),
      z.string('required').min(1, 'required').max(120, 'too_long').optional(),
    ),
    phone: Phone.optional(),
    vehicles: z.array(OwnVehicleInput, 'must_be_array').max(MAX_VEHICLES, 'too_many').optional(),
  })
  .meta({ id: 'UpdateOwnProfile' });
export type UpdateOwnProfile = z.infer<typeof UpdateOwnProfile>;

export const SmsConsent = z.object({ sms_consent: z.boolean('must_be_boolean'), phone: Phone.optional() }).meta({ id: 'SmsConsent' });
export type SmsConsent = z.infer<typeof SmsConsent>;
export const SmsConsentReply = z.object({ sms_consent: z.boolean(), sms_consent_date: Instant.nullable() }).meta({ id: 'SmsConsentReply' });
