/** A vehicle of a customer: the columns that writes touch, and the rules of one row. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { ValidationFailed } from '../lib/errors';
import { TenantModel } from './tenant-model';

export class Vehicle extends TenantModel {
  declare id: number;
  declare customerId: number;
  declare make: string;
  declare model: string;
  declare year: number | null;
  /** Upper case, unique in the tenant. */
  declare vin: string | null;
  /** Upper case as typed; unique among active vehicles through the generated column `plate_key`. */
  declare licensePlate: string | null;
  declare trim: string | null;
  declare color: string | null;
  declare mileage: number | null;
  declare notes: string | null;
  declare isPrimary: boolean;
  declare isActive: boolean;
  declare lastServiceDate: string | null;
  declare totalServices: number;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;

  /**
   * Sets the two flags together: an inactive vehicle is never primary.
   * @throws ValidationFailed when an inactive vehicle is to become primary
   */
  applyFlags({ isPrimary, isActive }: { isPrimary?: boolean | undefined; isActive?: boolean | undefined }): void {
    const active = isActive ?? this.isActive;
    if (isPrimary && !active) throw new ValidationFailed({ is_primary: 'inactive' }, 'An inactive vehicle cannot be primary');
    this.set({ isActive: active, isPrimary: active && (isPrimary ?? this.isPrimary) });
  }
}

Vehicle.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
    customerId: { type: DataTypes.BIGINT, allowNull: false },
    make: { type: DataTypes.STRING(100), allowNull: false },
    model: { type: DataTypes.STRING(100), allowNull: false },
    year: DataTypes.INTEGER,
    vin: DataTypes.STRING(17),
    licensePlate: DataTypes.STRING(20),
    trim: DataTypes.STRING(100),
    color: DataTypes.STRING(50),
    mileage: DataTypes.INTEGER,
    notes: DataTypes.STRING(1000),
    isPrimary: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    isActive: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
    lastServiceDate: DataTypes.DATEONLY,
    totalServices: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
  },
  { sequelize, tableName: 'vehicles', version: true },
);
