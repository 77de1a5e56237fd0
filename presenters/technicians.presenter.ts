/** A technician as the board and the appointment form read it. */
import type { TechnicianReply } from '../schemas/technicians.schema';

export interface TechnicianRow {
  id: string;
  name: string;
  initials: string;
  isActive: boolean;
  createdAt: Date;
  updatedAt: Date;
}

export const presentTechnician = ({ id, name, initials, isActive, createdAt, updatedAt }: TechnicianRow): TechnicianReply => ({
  id,
  name,
  initials,
  isActive,
  createdAt: createdAt.toISOString(),
  updatedAt: updatedAt.toISOString(),
});
