/** A message of an appointment's thread. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import type { Channel, MessageStatus } from '../schemas/messages.schema';
import { TenantModel } from './tenant-model';

/** The provider may still deliver what we gave up on, because we never heard its answer. */
export const GAVE_UP = 'gave_up';

export class Message extends TenantModel {
  declare id: string;
  declare appointmentId: number;
  declare customerId: number | null;
  declare channel: Channel;
  declare direction: 'out' | 'in';
  declare status: MessageStatus;
  declare body: string;
  declare templateId: string | null;
  declare providerId: string | null;
  declare errorCode: string | null;
  declare sentAt: Date | null;
  /** When the provider was first called; null while it has not been. */
  declare handedAt: Date | null;
  declare deliveredAt: Date | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare deletedAt: Date | null;

  get isWaiting(): boolean {
    return this.direction === 'out' && this.status === 'sending' && this.providerId === null;
  }

  /** @param code why, for people who look after the service */
  fail(code: string): void {
    this.set({ status: 'failed', errorCode: code });
  }

  deliver(at: Date): void {
    this.set({ status: 'delivered', deliveredAt: at, errorCode: null });
  }

  /** The first final report counts, in whatever order reports come; only our own giving up is less than a report. */
  get isOpenToReports(): boolean {
    return this.status === 'sending' || (this.status === 'failed' && this.errorCode === GAVE_UP);
  }
}

Message.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    appointmentId: { type: DataTypes.BIGINT, allowNull: false },
    customerId: DataTypes.BIGINT,
    channel: { type: DataTypes.TEXT, allowNull: false },
    direction: { type: DataTypes.TEXT, allowNull: false },
    status: { type: DataTypes.TEXT, allowNull: false },
    body: { type: DataTypes.STRING(5000), allowNull: false },
    templateId: DataTypes.UUID,
    providerId: DataTypes.TEXT,
    errorCode: DataTypes.TEXT,
    sentAt: DataTypes.DATE,
    handedAt: DataTypes.DATE,
    deliveredAt: DataTypes.DATE,
    createdBy: DataTypes.TEXT,
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    deletedAt: DataTypes.DATE,
  },
  { sequelize, tableName: 'messages' },
);
