/**
 * Driver errors -> the refusals of `lib/errors.ts`, by SQLSTATE, errno and constraint name; never by message text.
 * SQLSTATE classes: PostgreSQL documentation, appendix A.
 */
import { AppError, BadRequest, Conflict, Unavailable } from './errors';

interface DriverError {
  code: string | undefined;
  constraint: string | undefined;
}

function driverError(error: unknown): DriverError | undefined {
  if (!(error instanceof Error)) return undefined;
  const { original, parent } = error as { original?: unknown; parent?: unknown };
  const driver = (original ?? parent ?? error) as { code?: string; constraint?: string };
  if (typeof driver.code !== 'string' && !error.name.startsWith('Sequelize')) return undefined;
  return { code: driver.code, constraint: driver.constraint };
}

/** Unique and exclusion constraints a caller can run into, with the words of the wire contract. */
const CONSTRAINTS: Readonly<Record<string, () => AppError>> = {
  customers_tenant_id_email_key: () =>
    new Conflict('Email already registered', { code: 'already_exists', details: { email: 'already_exists' } }),
  customer_auth_tenant_id_email_key: () =>
    new Conflict('Email already registered', { code: 'already_exists', details: { email: 'already_exists' } }),
  vehicles_tenant_id_vin_key: () => new Conflict('VIN already exists', { details: { vin: 'already_exists' } }),
  vehicles_tenant_id_plate_key_key: () => new Conflict('License plate already exists', { details: { license_plate: 'already_exists' } }),
  technicians_tenant_id_initials_key: () => new Conflict('Initials already in use', { details: { initials: 'already_exists' } }),
  service_operations_pk: () => new Conflict('A service with this id already exists', { code: 'duplicate_id' }),
  service_operations_tenant_id_internal_code_key: () =>
    new Conflict('A service with this internal code already exists', { code: 'duplicate_id' }),
  message_templates_tenant_id_slug_key: () =>
    new Conflict('A template with this slug already exists', { code: 'slug_exists', details: { slug: 'already_exists' } }),
  appointments_tech_block_excl: () => new Conflict('Scheduling conflict detected'),
  appointments_vehicle_block_excl: () => new Conflict('Scheduling conflict detected'),
  invoices_tenant_id_appointment_id_key: () => new Conflict('Invoice already exists for appointment', { code: 'already_exists' }),
  tenants_sms_number_key: () => new Conflict('Another shop has this SMS number', { code: 'already_exists' }),
  staff_users_username_key: () => new Conflict('Username already exists', { code: 'already_exists' }),
  staff_users_email_key: () => new Conflict('Email already registered', { code: 'already_exists' }),
  tenants_slug_key: () => new Conflict('Tenant slug already exists', { code: 'already_exists' }),
};

const RETRYABLE = new Set(['40P01', '40001']);
/** `read_only_sql_transaction`: the server has become a standby. Its connections are of no use to a service that writes. */
const DEMOTED = '25006';
/** The connection that ran the statement is of no further use. */
const GONE = new Set([
  DEMOTED,
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'EAI_AGAIN',
  '57P01',
  '57P02',
  '57P03',
  '53300',
]);

/** True for a deadlock or serialisation failure: the same work may succeed when tried again. */
export const isRetryable = (error: unknown): boolean => RETRYABLE.has(driverError(error)?.code ?? '');

const CANNOT_CONNECT = /^Sequelize(Connection|Host|InvalidConnection|AccessDenied)/;
/** The pool was busy: that says nothing about the server. */
const ACQUIRE_TIMEOUT = 'SequelizeConnectionAcquireTimeoutError';

/** True when the pool had no connection to give, because all were at work. */
export const isPoolExhausted = (error: unknown): boolean =>
  (error instanceof Unavailable && error.reason === 'pool_queue_full') || (error instanceof Error && error.name === ACQUIRE_TIMEOUT);

/** True when there was no connection to begin with: the server is down or refuses, and the next attempt would meet the same. */
export const isConnectFailure = (error: unknown): boolean =>
  error instanceof Error && error.name !== ACQUIRE_TIMEOUT && CANNOT_CONNECT.test(error.name);

/** What a query can do beside reading: in a WITH clause, and SELECT INTO. FOR UPDATE only locks, but is not worth telling apart. */
const WRITES = /\b(insert|update|delete|merge|into)\b/i;
/** Functions that act, by the names of PostgreSQL's and ours. */
const ACTS =
  /\b(nextval|setval|enqueue_job|remove_old_history|add_job|pg_notify|set_config|pg_(try_)?advisory\w*|pg_(terminate|cancel)\w*|lo_\w+)\s*\(/i;

/**
 * True for a statement that only reads, so that doing it twice is doing it once. A word that could write decides against it, also
 * where it is part of a literal: then the caller gets the error, which is never wrong.
 */
export const isPlainRead = (text: string): boolean =>
  /^\s*(select|with|table|values)\b/i.test(text) && !WRITES.test(text) && !ACTS.test(text);

/** True when a standby was asked to write. */
export const isRefusedWrite = (error: unknown): boolean => driverError(error)?.code === DEMOTED;

/** True when the connection that ran the statement is of no further use (a FATAL error arrives before the socket closes). */
export function isConnectionLost(error: unknown): boolean {
  const code = driverError(error)?.code ?? '';
  return GONE.has(code) || code.startsWith('08') || (error as { severity?: string }).severity === 'FATAL';
}

/** True when no connection to the server could be had, or the one that ran the statement was lost. */
export const isServerLost = (error: unknown): boolean => isConnectionLost(error) || isConnectFailure(error);

/** The name of the constraint that refused a write, when one did. */
export const violatedConstraint = (error: unknown): string | undefined => driverError(error)?.constraint;

/** The refusal to answer with, or undefined for what is not a database error or is a defect of ours. */
export function translateDatabaseError(error: unknown): AppError | undefined {
  const driver = driverError(error);
  if (!driver) return undefined;
  const { code = '', constraint = '' } = driver;
  const { name, cause, original = cause } = error as Error & { original?: unknown };
  // A refusal of ours that came through the ORM.
  if (original instanceof AppError) return original;
  if (name === ACQUIRE_TIMEOUT) return new Unavailable('pool_timeout', { cause: error });
  if (GONE.has(code) || code.startsWith('08') || CANNOT_CONNECT.test(name)) return new Unavailable('database', { cause: error });
  if (code === '57014') return new Unavailable('statement_timeout', { cause: error });
  if (code === '55P03' || RETRYABLE.has(code)) return new Unavailable('lock', { cause: error });
  if (code === '23505' || code === '23P01')
    return CONSTRAINTS[constraint]?.() ?? new Conflict('Conflicts with an existing record', { cause: error });
  if (code === '23503') return new Conflict('Refers to a record that does not exist, or is still referred to', { cause: error });
  if (code === '23514' || code === '22001' || code === '22003' || code === '22P02' || code === '22007' || code === '22008')
    return new BadRequest('A value is out of its range', { cause: error });
  return undefined;
}
