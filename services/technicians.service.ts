/** The shop's technicians. */

import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, NotFound } from '../lib/errors';
import { pendingChanges, side } from '../models/row-changes';
import { Technician } from '../models/technicians.model';
import type { CreateTechnician, UpdateTechnician } from '../schemas/technicians.schema';
import { UUID } from '../schemas/uuid';
import { recordAudit } from './audit.service';

const MISSING = 'Technician not found';

export interface TechnicianRow {
  id: string;
  name: string;
  initials: string;
  isActive: boolean;
  createdAt: Date;
  updatedAt: Date;
}

/** By initials, then name. */
export function listTechnicians({ includeInactive }: { includeInactive: boolean }): Promise<TechnicianRow[]> {
  return query<TechnicianRow>(
    {
      name: 'technicians_list',
      text: `SELECT id, name, initials, is_active AS "isActive", created_at AS "createdAt", updated_at AS "updatedAt" FROM technicians
        WHERE tenant_id = $1 AND (is_active OR $2::boolean) ORDER BY initials, name, id`,
    },
    [tenant().id, includeInactive],
  );
}

/** Initials that an active technician has already are refused by their constraint (409). */
export function createTechnician({ name, initials }: CreateTechnician): Promise<TechnicianRow> {
  return inTransaction(async () => {
    const now = clock.now();
    const technician = await Technician.make<Technician>({ name, initials, createdAt: now, updatedAt: now });
    await recordAudit({ action: 'TECHNICIAN_CREATE', entity: 'technician', entityId: technician.id, after: { name, initials } });
    return technician;
  });
}

/** Deactivating leaves assigned appointments as they are. @throws NotFound; initials taken are refused by their constraint */
export async function updateTechnician(id: string, update: UpdateTechnician): Promise<TechnicianRow> {
  if (Object.values(update).every((value) => value === undefined)) throw new BadRequest('No valid fields to update');
  if (!UUID.test(id)) throw new NotFound(MISSING);
  return inTransaction(async () => {
    const technician = await Technician.get<Technician>(id, { lock: true, missing: MISSING });
    technician.set(Object.fromEntries(Object.entries(update).filter(([, value]) => value !== undefined)));
    const changes = pendingChanges(technician);
    if (Object.keys(changes).length === 0) return technician;
    technician.set({ updatedAt: clock.now() });
    await technician.save();
    await recordAudit({
      action: 'TECHNICIAN_UPDATE',
      entity: 'technician',
      entityId: id,
      before: side(changes, 'from'),
      after: side(changes, 'to'),
    });
    return technician;
  });
}
