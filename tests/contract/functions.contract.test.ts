/** Functions of the schema, against what the code knows of them. */
import { isPlainRead } from '../../lib/db-errors';
import { admin } from '../support/database';

test('every function that may act › a statement that calls it is no plain read, so it is never sent twice', async () => {
  const functions = await admin<{ name: string }>(
    `SELECT p.proname AS name FROM pg_proc p
      WHERE p.pronamespace = 'public'::regnamespace AND p.provolatile = 'v' AND p.prorettype <> 'trigger'::regtype
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
      ORDER BY 1`,
  );
  expect(functions.map(({ name }) => name)).toEqual(expect.arrayContaining(['enqueue_job', 'remove_old_history']));
  expect(functions.filter(({ name }) => isPlainRead(`SELECT ${name}($1)`))).toEqual([]);
});
