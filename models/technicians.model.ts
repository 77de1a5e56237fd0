/** A technician of the shop. Deactivated ones keep their history and their assigned appointments. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { TenantModel } from './tenant-model';

export class Technician extends TenantModel {
  declare id: string;
  declare name: string;
  /** One to four capital letters, unique among the active. */
  declare initials: string;
  declare isActive: boolean;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;
}

Technician.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    name: { type: DataTypes.STRING(120), allowNull: false },
    initials: { type: DataTypes.STRING(4), allowNull: false },
    isActive: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
  },
  { sequelize, tableName: 'technicians', version: true },
);
