/** Driver errors become refusals by their codes and constraint names, whatever their messages say. */
import { ConnectionAcquireTimeoutError, ConnectionRefusedError, DatabaseError } from 'sequelize';

import {
  isConnectFailure,
  isConnectionLost,
  isPlainRead,
  isRetryable,
  translateDatabaseError,
  violatedConstraint,
} from '../../../lib/db-errors';
import { fingerprint } from '../../../lib/fingerprint';

const driver = (code: string, constraint?: string) => Object.assign(new Error('anything at all'), { code, constraint });
const throughSequelize = (code: string, constraint?: string) =>
  new DatabaseError(Object.assign(driver(code, constraint), { sql: 'SELECT 1', parameters: {} }));

test.each([
  ['23505', 'vehicles_tenant_id_vin_key', 409, 'conflict', 'VIN already exists'],
  ['23505', 'vehicles_tenant_id_plate_key_key', 409, 'conflict', 'License plate already exists'],
  ['23505', 'customers_tenant_id_email_key', 409, 'already_exists', 'Email already registered'],
  ['23P01', 'appointments_tech_block_excl', 409, 'conflict', 'Scheduling conflict detected'],
  ['23505', 'some_other_key', 409, 'conflict', 'Conflicts with an existing record'],
  ['23503', 'some_fk', 409, 'conflict', undefined],
  ['23514', 'some_check', 400, 'bad_request', undefined],
  ['22003', undefined, 400, 'bad_request', undefined],
  ['57014', undefined, 503, 'unavailable', 'Service temporarily unavailable'],
  ['40P01', undefined, 503, 'unavailable', undefined],
  ['53300', undefined, 503, 'unavailable', undefined],
  ['57P01', undefined, 503, 'unavailable', undefined],
  ['08006', undefined, 503, 'unavailable', undefined],
  ['ECONNREFUSED', undefined, 503, 'unavailable', undefined],
])('%s %s › %i %s', (code, constraint, status, word, message) => {
  for (const error of [driver(code, constraint), throughSequelize(code, constraint)]) {
    const refusal = translateDatabaseError(error);
    expect(refusal).toMatchObject({ status, code: word, ...(message ? { message } : {}) });
    expect(refusal?.message).not.toContain('anything at all');
  }
});

test('an unknown code, and what is no database error › left to the caller', () => {
  expect(translateDatabaseError(driver('42703'))).toBeUndefined();
  expect(translateDatabaseError(new Error('VIN already exists'))).toBeUndefined();
  expect(translateDatabaseError('23505')).toBeUndefined();
});

test("Sequelize's own errors › unavailable", () => {
  expect(translateDatabaseError(new ConnectionAcquireTimeoutError(new Error('late')))).toMatchObject({
    status: 503,
    reason: 'pool_timeout',
  });
  expect(translateDatabaseError(new ConnectionRefusedError(new Error('refused')))).toMatchObject({ status: 503, reason: 'database' });
});

test('retries are for deadlocks and serialisation failures; a FATAL error loses the connection', () => {
  expect([driver('40P01'), throughSequelize('40001'), driver('23505')].map(isRetryable)).toEqual([true, true, false]);
  expect(
    [driver('57P01'), driver('08006'), Object.assign(driver('28000'), { severity: 'FATAL' }), driver('23505')].map(isConnectionLost),
  ).toEqual([true, true, true, false]);
  expect(violatedConstraint(throughSequelize('23505', 'customers_tenant_id_email_key'))).toBe('customers_tenant_id_email_key');
});

test('a statement in a log › without the values of its rows', () => {
  expect(fingerprint("SELECT *\n  FROM customers WHERE name = 'O''Hara' AND id = 42 AND spent > 3.50")).toBe(
    'SELECT * FROM customers WHERE name = ? AND id = ? AND spent > ?',
  );
});

test('a server that has become a standby › its connection is of no use, and nothing was done', () => {
  expect(isConnectionLost(driver('25006'))).toBe(true);
  expect(translateDatabaseError(driver('25006'))).toMatchObject({ status: 503, reason: 'database' });
});

test('no connection to begin with › told apart from one that broke', () => {
  expect(isConnectFailure(new ConnectionRefusedError(driver('ECONNREFUSED')))).toBe(true);
  expect(isConnectFailure(throughSequelize('57P01'))).toBe(false);
  expect(isConnectFailure(driver('ECONNRESET'))).toBe(false);
});

test.each([
  ['SELECT 1', true],
  ['  select name, updated_at FROM customers WHERE is_deleted = $1', true],
  ['WITH a AS (SELECT 1) SELECT * FROM a', true],
  ["SELECT json_build_object('id', id) FROM vehicles", true],
  ['VALUES (1)', true],
  ['INSERT INTO t VALUES (1)', false],
  ['UPDATE t SET a = 1', false],
  ['WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone', false],
  ['SELECT * INTO t FROM s', false],
  ['SELECT * FROM t FOR UPDATE', false],
  ['SELECT enqueue_job($1, $2)', false],
  ['SELECT remove_old_history($1, $2, $3) AS removed', false],
  ["SELECT nextval('s')", false],
  ['SELECT pg_advisory_xact_lock(1)', false],
  ['SELECT pg_try_advisory_xact_lock (1)', false],
  ["SELECT set_config('a', 'b', false)", false],
  ['CALL p()', false],
  ['DECLARE c CURSOR FOR SELECT 1', false],
])('isPlainRead › %s › %s', (text, plain) => {
  expect(isPlainRead(text)).toBe(plain);
});
