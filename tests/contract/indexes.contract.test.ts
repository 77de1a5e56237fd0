/** The schema's own indexes, held against the rules that `npm run db:indexes` reports by. */
import pg from 'pg';
import { readCatalogue } from '../../scripts/indexes/catalogue';
import { duplicateIndexes, unindexedForeignKeys, unusedIndexes } from '../../scripts/indexes/rules';
import { closeLater } from '../support/closers';
import { createDatabase } from '../support/database';

let client: pg.Client;
beforeAll(async () => {
  client = new pg.Client({ connectionString: (await createDatabase()).migrationUrl });
  closeLater(() => client.end());
  await client.connect();
});

test('every foreign key has an index, and no index is there twice', async () => {
  const { indexes, foreignKeys } = await readCatalogue(client);
  expect(foreignKeys.length).toBeGreaterThan(40);
  expect(unindexedForeignKeys(foreignKeys, indexes)).toEqual([]);
  expect(duplicateIndexes(indexes).map(({ index, by }) => `${index.name} by ${by.name}`)).toEqual([]);
});

test('an index dropped, one doubled, one never read › each is named', async () => {
  await client.query('BEGIN');
  try {
    await client.query('DROP INDEX payments_tenant_id_invoice_id_idx');
    await client.query('CREATE INDEX doubled ON customer_notes (tenant_id, customer_id)');
    await client.query('CREATE INDEX never_read ON customers (tenant_id, md5(name)) WHERE false');
    const { indexes, foreignKeys } = await readCatalogue(client);
    expect(unindexedForeignKeys(foreignKeys, indexes).map(({ name }) => name)).toEqual(['payments_tenant_id_invoice_id_fk']);
    expect(duplicateIndexes(indexes).map(({ index, by }) => [index.name, by.name])).toEqual([
      ['doubled', 'customer_notes_tenant_id_customer_id_idx'],
    ]);
    expect(unusedIndexes(indexes).map(({ name }) => name)).toContain('never_read');
  } finally {
    await client.query('ROLLBACK');
  }
});
