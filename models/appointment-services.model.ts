/** A service line of an appointment: a snapshot of what was agreed, not a view of the catalogue. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { TenantModel } from './tenant-model';

export class AppointmentService extends TenantModel {
  declare id: string;
  declare appointmentId: number;
  declare serviceOperationId: string | null;
  declare name: string;
  declare notes: string | null;
  declare estimatedHours: number | null;
  declare estimatedPriceCents: number | null;
  declare category: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
  declare deletedAt: Date | null;
}

AppointmentService.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    appointmentId: { type: DataTypes.BIGINT, allowNull: false },
    serviceOperationId: DataTypes.TEXT,
    name: { type: DataTypes.STRING(200), allowNull: false },
    notes: DataTypes.TEXT,
    estimatedHours: DataTypes.DECIMAL(5, 2),
    estimatedPriceCents: DataTypes.BIGINT,
    category: DataTypes.STRING(100),
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    deletedAt: DataTypes.DATE,
  },
  { sequelize, tableName: 'appointment_services' },
);
