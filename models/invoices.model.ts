/** An invoice: the columns that writes touch, and what may happen to one. Amounts are integer cents. */
import { DataTypes } from 'sequelize';
import { sequelize } from '../lib/db';
import { BadRequest, Conflict } from '../lib/errors';
import type { InvoiceStatus } from '../schemas/invoices.schema';
import { statusOf } from './invoice-transitions';
import { TenantModel } from './tenant-model';

const invalidState = (message: string) => new BadRequest(message, { code: 'invalid_state' });

export class Invoice extends TenantModel {
  declare id: string;
  declare number: number;
  declare appointmentId: number | null;
  declare customerId: number | null;
  declare vehicleId: number | null;
  declare status: InvoiceStatus;
  declare taxRateBasisPoints: number;
  declare subtotalCents: number;
  declare taxCents: number;
  declare totalCents: number;
  declare amountPaidCents: number;
  declare amountDueCents: number;
  declare issuedAt: Date | null;
  declare paidAt: Date | null;
  declare voidedAt: Date | null;
  declare voidReason: string | null;
  declare version: number;
  declare createdAt: Date;
  declare updatedAt: Date;

  /** @throws BadRequest `invalid_state`, `already_paid`, `overpayment` in this order */
  assertPayable(amountCents: number): void {
    if (this.status === 'VOID') throw invalidState('Cannot pay a void invoice');
    if (this.amountDueCents === 0) throw new BadRequest('Invoice already fully paid', { code: 'already_paid' });
    if (amountCents > this.amountDueCents) throw new BadRequest('Payment exceeds remaining balance', { code: 'overpayment' });
  }

  /** @throws BadRequest `invalid_state` when nothing may be added any more */
  assertOpen(): void {
    if (this.status === 'PAID' || this.status === 'VOID') throw invalidState(`Cannot modify ${this.status} invoice`);
  }

  /** Takes over the sums of the rows; status and `paid_at` follow. A first payment issues the invoice. */
  recompute({ subtotalCents, taxCents, paidCents }: { subtotalCents: number; taxCents: number; paidCents: number }, at: Date): void {
    const totalCents = subtotalCents + taxCents;
    if (paidCents > 0 && this.issuedAt === null) this.set({ issuedAt: at });
    const status = statusOf({ status: this.status, totalCents, paidCents, isIssued: this.issuedAt !== null });
    if (status !== 'VOID') this.set({ paidAt: status === 'PAID' ? (this.paidAt ?? at) : null });
    this.set({
      status,
      subtotalCents,
      taxCents,
      totalCents,
      amountPaidCents: paidCents,
      amountDueCents: totalCents - paidCents,
      updatedAt: at,
    });
  }

  /** A draft that is sent is issued. @throws BadRequest `invalid_state` for a void one */
  issue(at: Date): void {
    if (this.status === 'VOID') throw invalidState('Cannot send a void invoice');
    if (this.status === 'DRAFT') this.set({ status: 'SENT', issuedAt: this.issuedAt ?? at, updatedAt: at });
  }

  /** Amounts stay as they were. @throws Conflict `already_paid`, `already_void` */
  cancel(reason: string | null, at: Date): void {
    if (this.status === 'PAID') throw new Conflict('Cannot void a paid invoice', { code: 'already_paid' });
    if (this.status === 'VOID') throw new Conflict('Invoice already void', { code: 'already_void' });
    this.set({ status: 'VOID', voidedAt: at, voidReason: reason, updatedAt: at });
  }
}

const INSTANT = DataTypes.DATE;
// An object for each column: Sequelize writes the column's name into it.
const cents = () => ({ type: DataTypes.BIGINT, allowNull: false, defaultValue: 0 });
Invoice.init(
  {
    tenantId: { type: DataTypes.UUID, primaryKey: true },
    id: { type: DataTypes.UUID, primaryKey: true, defaultValue: DataTypes.UUIDV4 },
    number: { type: DataTypes.BIGINT, allowNull: false },
    appointmentId: DataTypes.BIGINT,
    customerId: DataTypes.BIGINT,
    vehicleId: DataTypes.BIGINT,
    status: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'DRAFT' },
    taxRateBasisPoints: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
    subtotalCents: cents(),
    taxCents: cents(),
    totalCents: cents(),
    amountPaidCents: cents(),
    amountDueCents: cents(),
    issuedAt: INSTANT,
    paidAt: INSTANT,
    voidedAt: INSTANT,
    voidReason: DataTypes.TEXT,
    version: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
    createdAt: { type: INSTANT, allowNull: false, defaultValue: DataTypes.NOW },
    updatedAt: { type: INSTANT, allowNull: false, defaultValue: DataTypes.NOW },
  },
  { sequelize, tableName: 'invoices', version: true },
);
