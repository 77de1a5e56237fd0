/** Customers as the staff works with them: lists, search, the detail, create and change. */
import { clock } from '../lib/clock';
import { context, tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { BadRequest, NotFound, PreconditionFailed } from '../lib/errors';
import { allowsVersion } from '../lib/etag';
import {
  type CustomerFilter,
  customerList,
  customersByPhone,
  isCustomerSort,
  isSearchOrder,
  type LookupRow,
  recentCustomers,
  type SearchRow,
  searchCustomers as search,
} from '../models/customer-lists.queries';
import { Customer } from '../models/customers.model';
import { type CustomerFields, customerDetail, customerFields, type TaggedJson } from '../models/customers.queries';
import { type Changes, pendingChanges, side } from '../models/row-changes';
import { type CreateCustomer, type ListCustomers, pageSize, type SearchCustomers, type UpdateCustomer } from '../schemas/customers.schema';
import { phoneDigits } from '../schemas/identity.schema';
import { recordAudit } from './audit.service';
import { announceActorChange } from './sessions.service';

const MIN_LOOKUP_DIGITS = 7;
const INCLUDES = ['appointmentDetails'];

/** Unknown filters are ignored. */
export const filterOf = (text: string | undefined): CustomerFilter => (text === 'vip' || text === 'overdue' ? text : 'all');

export interface ListedCustomers {
  /** JSON text of an array. */
  items: string;
  page: number;
  pageSize: number;
  total: number;
}

/** One page of customers with the true total. Unknown sort keys fall back to the default. */
export async function listCustomers(wanted: ListCustomers): Promise<ListedCustomers> {
  const { page, search: text, sort = '' } = wanted;
  const limit = pageSize(wanted);
  const fallback = text === '' ? 'created_desc' : 'name_asc';
  const { total, items } = await customerList({
    limit,
    offset: (page - 1) * limit,
    search: text,
    sort: isCustomerSort(sort) ? sort : fallback,
    filter: filterOf(wanted.filter),
    now: clock.now(),
  });
  return { items, page, pageSize: limit, total };
}

/** Matching vehicles and customers; a blank text finds nothing. */
export async function searchCustomers({ q, limit, filter, sortBy = '' }: SearchCustomers): Promise<SearchRow[]> {
  if (q === '') return [];
  return search({ text: q, limit, filter: filterOf(filter), order: isSearchOrder(sortBy) ? sortBy : 'relevance', now: clock.now() });
}

/** The customers of the latest appointments, as JSON text of an array. */
export const listRecentCustomers = (limit: number): Promise<string> => recentCustomers(limit, clock.now());

/** Customers with this phone number. @throws BadRequest for fewer than seven digits */
export async function lookUpByPhone(phone: string): Promise<LookupRow[]> {
  const digits = phoneDigits(phone);
  if (digits.length < MIN_LOOKUP_DIGITS) throw new BadRequest('phone must have at least 7 digits');
  return customersByPhone(digits);
}

/**
 * The detail of a customer as JSON text.
 * @throws BadRequest `invalid_include` for an unknown token; NotFound 'Customer not found'
 */
export async function getCustomer(id: number, include: string | undefined): Promise<TaggedJson> {
  const tokens = (include ?? '')
    .split(',')
    .map((token) => token.trim())
    .filter(Boolean);
  const unknown = tokens.filter((token) => !INCLUDES.includes(token));
  if (unknown.length > 0) throw new BadRequest(`Unsupported include token(s): ${unknown.join(', ')}`, { code: 'invalid_include' });
  return detail(id, tokens.length > 0);
}

async function detail(id: number, withChildren = false): Promise<TaggedJson> {
  const found = await customerDetail(id, { now: clock.now(), withChildren });
  if (!found) throw new NotFound('Customer not found');
  return found;
}

export interface TaggedCustomer {
  customer: CustomerFields;
  etag: string;
}

async function saved(id: number): Promise<TaggedCustomer> {
  const customer = await customerFields(id);
  if (!customer) throw new NotFound('Customer not found');
  return { customer, etag: (await detail(id)).etag };
}

/** @throws Conflict `already_exists` for an e-mail that another customer of the tenant has; a shared phone is allowed */
export function createCustomer(body: CreateCustomer): Promise<TaggedCustomer> {
  return inTransaction(async () => {
    const customer = Customer.build({ tenantId: tenant().id, ...given(columnsOf(body)) });
    if (body.sms_consent) customer.decideSmsConsent(true, { at: clock.now(), ip: null });
    await customer.save();
    await recordAudit({ action: 'CUSTOMER_CREATE', entity: 'customer', entityId: String(customer.id), after: given(columnsOf(body)) });
    return saved(customer.id);
  });
}

/**
 * Changes what is given. Nothing different: no write, no trace, the same tag.
 * @param ifMatch opaque If-Match; null writes unconditionally
 * @throws NotFound; PreconditionFailed with the current customer; Conflict `already_exists`
 */
export function updateCustomer(id: number, body: UpdateCustomer, ifMatch: string | null): Promise<TaggedCustomer> {
  return inTransaction(async () => {
    const customer = await lockedCustomer(id);
    if (!allowsVersion(ifMatch, customer.version)) {
      const { json, etag } = await detail(id);
      throw new PreconditionFailed({ current: JSON.parse(json), etag }, etag);
    }
    customer.set(given(columnsOf(body)));
    if (body.sms_consent !== undefined) customer.decideSmsConsent(body.sms_consent, { at: clock.now(), ip: null });
    await saveCustomer(customer);
    return saved(id);
  });
}

/** The customer's row, locked. @throws NotFound 'Customer not found' when absent or deleted */
export async function lockedCustomer(id: number): Promise<Customer> {
  const customer = await Customer.get<Customer>(id, { lock: true, missing: 'Customer not found' });
  if (customer.deletedAt !== null) throw new NotFound('Customer not found');
  return customer;
}

/** Stores a changed customer with its traces. @returns the changes; without any nothing is written */
export async function saveCustomer(customer: Customer, action: 'CUSTOMER_UPDATE' | 'SMS_CONSENT' = 'CUSTOMER_UPDATE'): Promise<Changes> {
  const changes = pendingChanges(customer);
  if (Object.keys(changes).length === 0) return changes;
  customer.updatedAt = clock.now();
  await customer.save();
  await query({ text: 'INSERT INTO customer_audits (tenant_id, customer_id, actor_id, fields_changed) VALUES ($1, $2, $3, $4::jsonb)' }, [
    tenant().id,
    customer.id,
    context().actor.id,
    JSON.stringify(changes),
  ]);
  await recordAudit({
    action,
    entity: 'customer',
    entityId: String(customer.id),
    before: side(changes, 'from'),
    after: side(changes, 'to'),
  });
  await keepLogInTrue(customer, changes);
  return changes;
}

/** Whoever changed the person, the customer or the staff: the log-in has the new address, and live sessions show who it is now. */
async function keepLogInTrue(customer: Customer, { email, name }: Changes): Promise<void> {
  // Without an address the former one still opens the account. A taken one is refused by the log-in's own constraint.
  if (email && customer.email !== null)
    await query({ text: 'UPDATE customer_auth SET email = $3, updated_at = now() WHERE tenant_id = $1 AND customer_id = $2' }, [
      tenant().id,
      customer.id,
      customer.email,
    ]);
  if (email || name) await announceActorChange('customer', String(customer.id));
}

/** Wire names -> columns; consent apart, which is a decision and not a value. */
function columnsOf(body: Partial<CreateCustomer>): Record<string, unknown> {
  return {
    name: body.name,
    email: body.email,
    phone: body.phone,
    address: body.address,
    addressLine1: body.address_line1,
    addressLine2: body.address_line2,
    city: body.city,
    state: body.state,
    zipCode: body.zip_code,
    tags: body.tags,
    notes: body.notes,
    preferredContactMethod: body.preferred_contact_method,
    preferredContactTime: body.preferred_contact_time,
  };
}

const given = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
