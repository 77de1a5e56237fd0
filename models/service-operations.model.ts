/** An operation of the service catalogue, or a package of operations. Deleted ones are inactive: lines keep their link. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { searchText } from '../schemas/service-operations.schema';
import { TenantModel } from './tenant-model';

export class ServiceOperation extends TenantModel {
  declare id: string;
  declare internalCode: string;
  declare name: string;
  declare category: string;
  declare subcategory: string | null;
  declare skillLevel: number | null;
  declare defaultHours: number | null;
  declare defaultPriceCents: number | null;
  declare keywords: string[];
  declare flags: string[];
  declare displayOrder: number | null;
  declare isActive: boolean;
  /** Never changes: the rows of `package_items` refer to it. */
  declare isPackage: boolean;
  declare search: string;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;

  /** Brings the text that the catalogue search looks at in line with the other columns: before every save. */
  index(): void {
    this.search = searchText(this);
  }
}

ServiceOperation.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.TEXT, primaryKey: true },
    internalCode: { type: DataTypes.STRING(100), allowNull: false },
    name: { type: DataTypes.STRING(200), allowNull: false },
    category: { type: DataTypes.STRING(100), allowNull: false },
    subcategory: { type: DataTypes.STRING(100) },
    skillLevel: { type: DataTypes.INTEGER },
    defaultHours: { type: DataTypes.DECIMAL(5, 2) },
    defaultPriceCents: { type: DataTypes.BIGINT },
    keywords: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false, defaultValue: [] },
    flags: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false, defaultValue: [] },
    displayOrder: { type: DataTypes.INTEGER },
    isActive: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
    isPackage: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    search: { type: DataTypes.TEXT, allowNull: false, defaultValue: '' },
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
  },
  { sequelize, tableName: 'service_operations', version: true },
);
