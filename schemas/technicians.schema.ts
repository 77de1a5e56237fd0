/** Shapes of technicians; names on the wire are camelCase. */
import { z } from 'zod';
import { QueryBoolean } from './common.schema';

const Name = z.string('invalid').trim().min(1, 'required').max(120, 'too_long');
const Initials = z
  .string('invalid')
  .trim()
  .transform((value) => value.toUpperCase())
  .pipe(z.string().regex(/^[A-Z]{1,4}$/, 'must_be_1_to_4_letters'));

export const ListTechnicians = z.object({ includeInactive: QueryBoolean.optional() });
export const CreateTechnician = z.object({ name: Name, initials: Initials });
export type CreateTechnician = z.output<typeof CreateTechnician>;
export const UpdateTechnician = z.object({
  name: Name.optional(),
  initials: Initials.optional(),
  isActive: z.boolean('invalid').optional(),
});
export type UpdateTechnician = z.output<typeof UpdateTechnician>;
export const ByTechnicianId = z.object({ id: z.string() });

export const TechnicianReply = z
  .object({
    id: z.uuid(),
    name: z.string(),
    initials: z.string(),
    isActive: z.boolean(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'Technician' });
export type TechnicianReply = z.output<typeof TechnicianReply>;
export const TechnicianList = z.object({ technicians: z.array(TechnicianReply) }).meta({ id: 'TechnicianList' });
