import { writtenTables } from '../../../lib/cache/tables';

test.each([
  ['a read', 'SELECT * FROM appointments a WHERE a.id = $1', []],
  ['a read under lock', 'SELECT id FROM "appointments" AS "Appointment" WHERE id = 1 FOR UPDATE', []],
  ['an insert', 'INSERT INTO appointments (tenant_id) VALUES ($1)', ['appointments']],
  ['what the ORM writes', 'UPDATE "vehicles" SET "plate"=$1 WHERE "id" = $2', ['vehicles']],
  ['with its schema', 'INSERT INTO "public"."payments" ("id") VALUES (DEFAULT) RETURNING *', ['payments']],
  ['an update of a part', 'update only invoices set status = $1', ['invoices']],
  [
    'two in one WITH',
    'WITH gone AS (DELETE FROM package_items WHERE x RETURNING 1) INSERT INTO service_operations SELECT 1',
    ['package_items', 'service_operations'],
  ],
  ['an upsert', 'INSERT INTO tenant_settings AS s (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1', ['tenant_settings']],
  [
    'a delete that takes rows of others along',
    'DELETE FROM appointments WHERE id = 1',
    ['appointment_services', 'appointments', 'template_usage_events'],
  ],
  ['over two lines', 'UPDATE\n  customers c\nSET name = 1', ['customers']],
  ['a table that no reply is made of', 'INSERT INTO audit_logs (a) VALUES (1)', []],
  ['a merge', 'MERGE INTO technicians t USING x ON true WHEN MATCHED THEN DELETE', ['technicians']],
  ['a truncation', 'TRUNCATE TABLE payments', ['payments']],
])('%s › the cached tables that it may change', (_what, text, tables) => {
  expect(writtenTables(text)).toEqual(tables);
  // The second time from memory.
  expect(writtenTables(text)).toEqual(tables);
});
