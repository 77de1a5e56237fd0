/** A customer of the shop: the columns that writes touch, and the rules of one row. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { TenantModel } from './tenant-model';

export type ContactMethod = 'phone' | 'email' | 'sms';

export class Customer extends TenantModel {
  declare id: number;
  declare name: string;
  /** Lower case; unique among the tenant's customers that are not deleted. */
  declare email: string | null;
  /** As typed; compared through the generated column `phone_digits`. */
  declare phone: string | null;
  declare address: string | null;
  declare addressLine1: string | null;
  declare addressLine2: string | null;
  declare city: string | null;
  declare state: string | null;
  declare zipCode: string | null;
  declare isVip: boolean;
  declare tags: string[];
  declare notes: string | null;
  declare preferredContactMethod: ContactMethod;
  declare preferredContactTime: string | null;
  declare customerSince: string | null;
  declare smsConsent: boolean;
  declare smsConsentDate: Date | null;
  declare smsConsentIp: string | null;
  declare smsOptOut: boolean;
  declare smsOptOutDate: Date | null;
  declare smsOptOutMethod: 'STOP' | 'WEB' | 'CALL' | null;
  declare isVerified: boolean;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;
  declare deletedAt: Date | null;

  /**
   * Records a decision about text messages. Repeating the present one changes nothing.
   * @param optOut how the customer said no; without it a missing consent is noted, but no opt-out
   */
  decideSmsConsent(consent: boolean, { at, ip, optOut }: { at: Date; ip: string | null; optOut?: 'STOP' | 'WEB' | 'CALL' }): void {
    if (consent) {
      if (this.smsConsent && !this.smsOptOut) return;
      this.set({ smsConsent: true, smsConsentDate: at, smsConsentIp: ip, smsOptOut: false, smsOptOutDate: null, smsOptOutMethod: null });
      return;
    }
    if (this.smsConsent) this.set({ smsConsent: false });
    if (optOut && !this.smsOptOut) this.set({ smsOptOut: true, smsOptOutDate: at, smsOptOutMethod: optOut });
  }
}

Customer.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.BIGINT, primaryKey: true, autoIncrement: true, autoIncrementIdentity: true },
    name: { type: DataTypes.STRING(255), allowNull: false },
    email: DataTypes.STRING(254),
    phone: DataTypes.STRING(20),
    address: DataTypes.STRING(500),
    addressLine1: { type: DataTypes.STRING(255), field: 'address_line1' },
    addressLine2: { type: DataTypes.STRING(255), field: 'address_line2' },
    city: DataTypes.STRING(120),
    state: DataTypes.STRING(60),
    zipCode: DataTypes.STRING(20),
    isVip: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    tags: { type: DataTypes.JSONB, allowNull: false, defaultValue: [] },
    notes: DataTypes.STRING(1000),
    preferredContactMethod: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'phone' },
    preferredContactTime: DataTypes.STRING(50),
    customerSince: DataTypes.DATEONLY,
    smsConsent: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    smsConsentDate: DataTypes.DATE,
    smsConsentIp: DataTypes.INET,
    smsOptOut: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: false },
    smsOptOutDate: DataTypes.DATE,
    smsOptOutMethod: DataTypes.TEXT,
    isVerified: { type: DataTypes.BOOLEAN, allowNull: false, defaultValue: true },
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: DataTypes.DATE, allowNull: false, defaultValue: DataTypes.NOW },
    deletedAt: DataTypes.DATE,
  },
  // `version: true` makes save() an UPDATE … WHERE version = <the one read> that also counts it up.
  { sequelize, tableName: 'customers', version: true },
);
