/** Service lines taken from the catalogue in bulk, inside the caller's transaction. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { INSERT_OPERATION_LINES, LINES_TOTAL, MISSING_OPERATIONS } from '../models/appointment-services.queries';

/** Adds one line with catalogue defaults for each known operation; unknown ids are skipped. @returns how many were added */
export async function addOperationLines(appointmentId: number, operationIds: readonly string[]): Promise<number> {
  return (await query(INSERT_OPERATION_LINES, [tenant().id, appointmentId, operationIds])).length;
}

/** Those of the ids that name an operation the appointment has no line for, in the order given. */
export async function missingOperations(appointmentId: number, operationIds: readonly string[]): Promise<string[]> {
  if (operationIds.length === 0) return [];
  const rows = await query<{ id: string }>(MISSING_OPERATIONS, [tenant().id, appointmentId, operationIds]);
  const missing = new Set(rows.map(({ id }) => id));
  return [...new Set(operationIds)].filter((id) => missing.has(id));
}

/** Sum of the lines' prices in cents. */
export async function linesTotal(appointmentId: number): Promise<number> {
  const [row] = await query<{ cents: number }>(LINES_TOTAL, [tenant().id, appointmentId]);
  return row?.cents ?? 0;
}
