/** Invoice numbers: 1, 2, 3 … for each shop, without gap, however many invoices are made at once. */
import { tenant } from '../lib/context';
import { isInTransaction, query } from '../lib/db';
import { NEXT_NUMBER } from '../models/invoices.queries';

/**
 * The next number. Rivals wait from here to the end of the transaction, and a rollback gives the number back: call it as late
 * as possible, and store the number. @throws Error outside a transaction
 */
export async function takeInvoiceNumber(): Promise<number> {
  if (!isInTransaction()) throw new Error('An invoice number taken outside a transaction would be lost');
  const [row] = await query<{ number: number }>(NEXT_NUMBER, [tenant().id]);
  if (!row) throw new Error('The invoice counter has no row');
  return row.number;
}
