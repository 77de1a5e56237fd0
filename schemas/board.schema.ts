/** Shapes of the board. Names are the screen's own (camelCase). */
import { z } from 'zod';
import { APPOINTMENT_STATUSES } from './appointments.schema';
import { queryText } from './fields.schema';

export const BoardQuery = z.object({
  from: queryText(),
  to: queryText(),
  date: queryText(),
  techId: queryText(),
  /** Default true. */
  includeCarryover: queryText(),
});
export type BoardQuery = z.output<typeof BoardQuery>;

const Moment = z.iso.datetime().nullable();
const Text = z.string().nullable();

const BoardCard = z
  .object({
    id: z.string().regex(/^\d+$/),
    customerName: z.string(),
    vehicle: z.string(),
    price: z.number(),
    status: z.enum(APPOINTMENT_STATUSES),
    position: z.int().min(1),
    start: Moment,
    end: Moment,
    startedAt: Moment,
    completedAt: Moment,
    checkInAt: Moment,
    checkOutAt: Moment,
    techAssigned: Text,
    technicianId: Text,
    techInitials: Text,
    techName: Text,
    vehicleYear: z.int().nullable(),
    vehicleMake: Text,
    vehicleModel: Text,
    primaryOperationId: Text,
    primaryOperationName: Text,
    serviceCategory: Text,
    servicesSummary: Text,
    scheduledTime: z.string(),
    appointmentDate: z.iso.date(),
    lastServiceDate: Text,
    mileage: z.int().nullable(),
  })
  .meta({ id: 'BoardCard' });

const BoardColumn = z
  .object({
    key: z.enum(['SCHEDULED', 'IN_PROGRESS', 'READY', 'COMPLETED', 'NO_SHOW']),
    title: z.string(),
    count: z.int(),
    /** Dollars of the column's cards. */
    sum: z.number(),
  })
  .meta({ id: 'BoardColumn' });

export const Board = z.object({ columns: z.array(BoardColumn).length(5), cards: z.array(BoardCard) }).meta({ id: 'Board' });
