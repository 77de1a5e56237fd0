/** Exports: files that are streamed from a cursor, each run on record before its first byte. */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { type Cell, csvChunks } from '../lib/csv';
import { dayOf } from '../lib/days';
import { inTransaction, query, streamRows } from '../lib/db';
import { type CustomerExportRow, customerExport, customerExportCount } from '../models/exports.queries';
import type { ExportCustomers } from '../schemas/customers.schema';
import { recordAudit } from './audit.service';
import { rangeOf } from './customer-profile.service';
import { filterOf } from './customers.service';

/** A file with more rows helps nobody and holds a connection for long. */
const MAX_ROWS = 100_000;
const BATCH = 1_000;
const CENTS = 100;

const CUSTOMER_HEADER = [
  'ID',
  'Name',
  'Email',
  'Phone',
  'Address',
  'VIP',
  'Tags',
  'Created At',
  'Vehicles',
  'Visits',
  'Total Spent',
  'Last Service',
];

/**
 * The customer list as CSV, newest first; days are the tenant's.
 * @throws BadRequest for a bad range, before anything is sent
 */
export async function exportCustomers(wanted: ExportCustomers): Promise<AsyncIterable<string>> {
  const { from, to } = rangeOf(wanted);
  const filter = filterOf(wanted.filter);
  const sql = customerExport(filter);
  const values = [tenant().id, MAX_ROWS, clock.now(), from, to];
  const { timeZone } = tenant();
  const [counted] = await query<{ rows: number }>(customerExportCount(filter), values);
  await inTransaction(() =>
    recordAudit({
      action: 'EXPORT_RUN',
      entity: 'export',
      entityId: 'customers',
      after: { from: wanted.from ?? null, to: wanted.to ?? null, filter, rows: counted?.rows ?? 0 },
    }),
  );
  return csvChunks(CUSTOMER_HEADER, streamRows<CustomerExportRow>(sql, values, BATCH), (row) => customerCells(row, timeZone));
}

function customerCells(row: CustomerExportRow, timeZone: string): Cell[] {
  return [
    row.id,
    row.name,
    row.email,
    row.phone,
    row.address,
    row.is_vip,
    row.tags.join('; '),
    row.created_at.toISOString(),
    row.vehicles,
    row.visits,
    (row.spent_cents / CENTS).toFixed(2),
    row.last_service_at === null ? null : dayOf(row.last_service_at, timeZone),
  ];
}
