/** Shapes of service lines. */
import { z } from 'zod';
import { clearableText, Dollars } from './fields.schema';

const MAX_HOURS = 999.99;
const Hours = z.number('invalid').min(0, 'must_not_be_negative').max(MAX_HOURS, 'too_large');

/** Absent takes the catalogue's value on creation and keeps it on a change; null clears. */
const fields = {
  name: clearableText(200),
  service_operation_id: clearableText(100),
  notes: clearableText(5_000),
  estimated_hours: Hours.nullable().optional(),
  estimated_price: Dollars.nullable().optional(),
  category: clearableText(100),
};

export const ServiceLineFields = z.object(fields);
export type ServiceLineFields = z.output<typeof ServiceLineFields>;

export const ServiceLine = z
  .object({
    id: z.string(),
    appointment_id: z.string().regex(/^\d+$/),
    name: z.string(),
    notes: z.string().nullable(),
    estimated_hours: z.number().nullable(),
    estimated_price: z.number().nullable(),
    category: z.string().nullable(),
    service_operation_id: z.string().nullable(),
  })
  .meta({ id: 'ServiceLine' });
export type ServiceLine = z.output<typeof ServiceLine>;

export const ServiceLineList = z.object({ services: z.array(ServiceLine) }).meta({ id: 'ServiceLineList' });
export const ServiceLineAdded = z
  .object({ id: z.string(), service: ServiceLine, appointment_total: z.number() })
  .meta({ id: 'ServiceLineAdded' });
export const ServiceLineChanged = z.object({ service: ServiceLine, appointment_total: z.number() }).meta({ id: 'ServiceLineChanged' });
export const ServiceLineDeleted = z
  .object({ message: z.literal('deleted'), appointment_total: z.number() })
  .meta({ id: 'ServiceLineDeleted' });
