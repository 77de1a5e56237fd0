/** A text that staff send again and again. Its slug is its name for clients; it never changes. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { templateVariables } from '../lib/templates';
import type { Channel } from '../schemas/messages.schema';
import { TenantModel } from './tenant-model';

export class MessageTemplate extends TenantModel {
  declare id: string;
  declare slug: string;
  declare label: string;
  declare channel: Channel;
  declare category: string | null;
  declare body: string;
  /** Always those of the body: set by {@link write}. */
  declare variables: string[];
  declare isActive: boolean;
  declare createdBy: string | null;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;

  /** Replaces the text. */
  write(body: string): void {
    this.set({ body, variables: templateVariables(body) });
  }
}

MessageTemplate.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    slug: { type: DataTypes.STRING(100), allowNull: false },
    label: { type: DataTypes.STRING(200), allowNull: false },
    channel: { type: DataTypes.TEXT, allowNull: false },
    category: DataTypes.STRING(100),
    body: { type: DataTypes.STRING(5000), allowNull: false },
    variables: { type: DataTypes.ARRAY(DataTypes.TEXT), allowNull: false, defaultValue: [] },
    isActive: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
    createdBy: DataTypes.TEXT,
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
  },
  { sequelize, tableName: 'message_templates', version: true },
);
