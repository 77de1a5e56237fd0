/** An appointment: the columns that writes touch, and the rules of one row. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { ValidationFailed } from '../lib/errors';
import type { AppointmentStatus } from '../schemas/appointments.schema';
import { isBlocking, type Stamps } from './appointment-transitions';
import { TenantModel } from './tenant-model';

const MINUTE_MS = 60_000;
const LONGEST_MS = 48 * 60 * MINUTE_MS;

export class Appointment extends TenantModel {
  declare id: number;
  declare customerId: number | null;
  declare vehicleId: number | null;
  declare techId: string | null;
  declare status: AppointmentStatus;
  declare startTs: Date;
  declare endTs: Date | null;
  /** End of the time that technician and vehicle are occupied. */
  declare blockEndTs: Date;
  /** Rank in its column, smaller is higher; null is below all ranked cards. */
  declare position: number | null;
  declare title: string | null;
  declare notes: string | null;
  declare locationAddress: string | null;
  declare primaryOperationId: string | null;
  declare serviceCategory: string | null;
  declare totalCents: number | null;
  declare paidCents: number;
  declare checkInAt: Date | null;
  declare checkOutAt: Date | null;
  declare startedAt: Date | null;
  declare completedAt: Date | null;
  declare source: 'staff' | 'public' | 'customer';
  /** Counted up by every save; Sequelize also puts it into the WHERE. */
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;
  declare deletedAt: Date | null;

  get stamps(): Stamps {
    return { startedAt: this.startedAt, completedAt: this.completedAt, checkInAt: this.checkInAt, checkOutAt: this.checkOutAt };
  }

  /** Occupies its technician and vehicle, so it can collide with others. */
  get isBlocking(): boolean {
    return isBlocking(this.status);
  }

  /**
   * Moves or resizes the appointment. A start without an end keeps the duration; an end of null goes back to the default block.
   * @throws ValidationFailed for an end that is not after the start, or more than 48 hours after it
   */
  reschedule(
    { start = this.startTs, end }: { start?: Date | undefined; end?: Date | null | undefined },
    defaultBlockMinutes: number,
  ): void {
    const shiftMs = start.getTime() - this.startTs.getTime();
    const shifted = (moment: Date) => new Date(moment.getTime() + shiftMs);
    if (end === undefined) {
      this.set({ startTs: start, endTs: this.endTs && shifted(this.endTs), blockEndTs: shifted(this.blockEndTs) });
      return;
    }
    this.set({ startTs: start, endTs: end, blockEndTs: blockEnd(start, end, defaultBlockMinutes) });
  }
}

/**
 * End of the occupied time: the end when known, else the shop's default block after the start.
 * @throws ValidationFailed for an end that is not after the start, or more than 48 hours after it
 */
export function blockEnd(start: Date, end: Date | null, defaultBlockMinutes: number): Date {
  if (end === null) return new Date(start.getTime() + defaultBlockMinutes * MINUTE_MS);
  if (end <= start) throw new ValidationFailed({ end_ts: 'must_be_after_start' }, 'end_ts must be after start_ts');
  if (end.getTime() - start.getTime() > LONGEST_MS) throw new ValidationFailed({ end_ts: 'too_long' }, 'Appointment longer than 48 hours');
  return end;
}

const INSTANT = DataTypes.DATE;
Appointment.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
    customerId: DataTypes.BIGINT,
    vehicleId: DataTypes.BIGINT,
    techId: DataTypes.UUID,
    status: { type: DataTypes.TEXT, allowNull: false },
    startTs: { type: INSTANT, allowNull: false },
    endTs: INSTANT,
    blockEndTs: { type: INSTANT, allowNull: false },
    position: DataTypes.DOUBLE,
    title: DataTypes.STRING(255),
    notes: DataTypes.TEXT,
    locationAddress: DataTypes.TEXT,
    primaryOperationId: DataTypes.TEXT,
    serviceCategory: DataTypes.STRING(100),
    totalCents: DataTypes.BIGINT,
    paidCents: { type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 },
    checkInAt: INSTANT,
    checkOutAt: INSTANT,
    startedAt: INSTANT,
    completedAt: INSTANT,
    source: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'staff' },
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: INSTANT, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: INSTANT, allowNull: false, defaultValue: DataTypes.NOW },
    deletedAt: INSTANT,
  },
  { sequelize, tableName: 'appointments', version: true },
);
