/**
 * Importing a service catalogue from CSV. Repeatable: rows are matched by their code, and what is as it should be is left
 * alone. A file with a single bad row is refused as a whole, with every fault named by its line.
 */
import { z } from 'zod';
import { tenant } from '../lib/context';
import { parseCsv } from '../lib/csv-parse';
import { inTransaction, query } from '../lib/db';
import { ValidationFailed } from '../lib/errors';
import { UPSERT_OPERATIONS } from '../models/service-operations.queries';
import { CATEGORIES, foldHyphens, searchText } from '../schemas/service-operations.schema';
import { recordAudit } from './audit.service';

/** Distance of neighbours in a category, so that a shop can put something between them. */
const ORDER_STEP = 10;
const COLUMNS = ['internal_code', 'category', 'name', 'default_price_cents', 'default_hours', 'skill_level', 'keywords', 'is_active'];

const number = z
  .string()
  .regex(/^-?\d+(\.\d+)?$/, 'must_be_a_number')
  .transform(Number);
const Row = z.object({
  internal_code: z.string().trim().min(1, 'required').max(100, 'too_long'),
  category: z.enum(CATEGORIES, 'unknown_category'),
  name: z.string().trim().min(1, 'required').max(200, 'too_long').transform(foldHyphens),
  default_price_cents: number.pipe(z.int('must_be_whole_cents').min(0, 'must_not_be_negative')),
  default_hours: number.pipe(z.number().gt(0, 'must_be_positive').max(999.99, 'too_large')),
  skill_level: number.pipe(z.int('out_of_range').min(1, 'out_of_range').max(5, 'out_of_range')),
  keywords: z.string().transform((list) =>
    foldHyphens(list)
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== ''),
  ),
  is_active: z.stringbool('must_be_true_or_false'),
});

export interface CatalogRow extends z.output<typeof Row> {
  display_order: number;
  search: string;
}

/**
 * Reads and checks a catalogue file; `display_order` counts 10, 20, 30 … inside each category, in the order of the file.
 * @throws ValidationFailed with one reason for each fault, keyed `line 7.skill_level`
 */
export function parseCatalog(csv: string): CatalogRow[] {
  const [header = [], ...records] = parseCsv(csv);
  const absent = COLUMNS.filter((name) => !header.includes(name));
  if (absent.length > 0)
    throw new ValidationFailed(Object.fromEntries(absent.map((name) => [name, 'missing_column'])), 'Catalogue file refused');
  const faults: Record<string, string> = {};
  const rows: CatalogRow[] = [];
  const codes = new Set<string>();
  const inCategory = new Map<string, number>();
  for (const [index, record] of records.entries()) {
    const line = `line ${index + 2}`;
    const parsed = Row.safeParse(Object.fromEntries(header.map((name, column) => [name, record[column] ?? ''])));
    if (!parsed.success) {
      for (const { path, message } of parsed.error.issues) faults[`${line}.${path.join('.')}`] ??= message;
      continue;
    }
    const row = parsed.data;
    if (codes.has(row.internal_code)) faults[`${line}.internal_code`] = 'duplicate';
    codes.add(row.internal_code);
    const display_order = (inCategory.get(row.category) ?? 0) + ORDER_STEP;
    inCategory.set(row.category, display_order);
    rows.push({ ...row, display_order, search: searchText({ ...row, internalCode: row.internal_code }) });
  }
  if (Object.keys(faults).length > 0) throw new ValidationFailed(faults, 'Catalogue file refused');
  return rows;
}

export interface ImportResult {
  rows: number;
  inserted: number;
  updated: number;
}

/** Imports a catalogue file into the tenant of the context, all of it or nothing. @throws ValidationFailed as {@link parseCatalog} */
export async function importCatalog(csv: string): Promise<ImportResult> {
  const rows = parseCatalog(csv);
  return inTransaction(async () => {
    const { id } = tenant();
    const written = await query<{ inserted: boolean }>(UPSERT_OPERATIONS, [id, JSON.stringify(rows)]);
    const inserted = written.filter((row) => row.inserted).length;
    const result = { rows: rows.length, inserted, updated: written.length - inserted };
    if (written.length > 0)
      await recordAudit({ action: 'CATALOG_IMPORT', entity: 'service_operation', entityId: 'catalogue', after: result });
    return result;
  });
}
