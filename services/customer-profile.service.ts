/** What was with a customer or a car: profile pages, history and visits. */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { isDay, nextDay, startOfDay } from '../lib/days';
import { BadRequest, NotFound } from '../lib/errors';
import { etagOf } from '../lib/etag';
import { customerHistory, type VisitRow, visitsOfCustomer, visitsOfVehicle } from '../models/customer-history.queries';
import { customerExists } from '../models/customers.queries';
import { customerProfile, type Page, type PageQuery, type Position, vehicleProfile } from '../models/profiles.queries';
import { vehicleById, vehicleIdByPlate } from '../models/vehicles.queries';
import type { GetCustomerProfile, GetVehicleProfile } from '../schemas/customer-profiles.schema';
import { AppointmentStatusWord } from '../schemas/customers.schema';

export interface TaggedText {
  json: string;
  etag: string;
}

// ------------------------------------------------------------------ ranges and cursors

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})$/;

/** A day's border in the tenant's zone, or an instant; for `to` the first instant that is out of the range. */
function border(name: 'from' | 'to', text: string | undefined): Date | null {
  if (text === undefined || text.trim() === '') return null;
  const value = text.trim();
  if (isDay(value)) return startOfDay(name === 'to' ? nextDay(value) : value, tenant().timeZone);
  const instant = INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(instant)) throw new BadRequest(`Invalid '${name}' date format`);
  return new Date(name === 'to' ? instant + 1 : instant);
}

/** Both ends inclusive on the wire, half-open here. @throws BadRequest for a bad date or a range that ends before it begins */
export function rangeOf({ from, to }: { from?: string | undefined; to?: string | undefined }): { from: Date | null; to: Date | null } {
  const range = { from: border('from', from), to: border('to', to) };
  if (range.from && range.to && range.from >= range.to) throw new BadRequest("'from' must not be after 'to'");
  return range;
}

const encodeCursor = ({ start, id }: Position): string => Buffer.from(`${start}|${id}`).toString('base64url');

function decodeCursor(text: string): Position {
  const [start = '', id = '', ...rest] = Buffer.from(text, 'base64url').toString('utf8').split('|');
  if (rest.length > 0 || !INSTANT.test(start) || Number.isNaN(Date.parse(start)) || !/^\d{1,15}$/.test(id))
    throw new BadRequest('Invalid cursor');
  return { start, id: Number(id) };
}

/** A cursor continues what was begun, so it makes the range ignored. */
function pageQueryOf(
  { cursor, from, to }: { cursor?: string | undefined; from?: string | undefined; to?: string | undefined },
  limit: number,
): PageQuery {
  if (cursor !== undefined && cursor !== '') return { limit, after: decodeCursor(cursor), from: null, to: null };
  return { limit, after: null, ...rangeOf({ from, to }) };
}

/** @throws BadRequest above the maximum or for no whole number; zero and less are the default */
function pageLimit(name: string, text: string | undefined, { fallback, max }: { fallback: number; max: number }): number {
  if (text === undefined || text === '') return fallback;
  const limit = /^-?\d{1,9}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (Number.isNaN(limit) || limit > max) throw new BadRequest(`${name} must be an integer of at most ${max}`);
  return limit <= 0 ? fallback : limit;
}

const isYes = (text: string | undefined): boolean => ['1', 'true', 'yes'].includes((text ?? '').toLowerCase());

const pageJson = ({ hasMore, last }: Page, limit: number): string =>
  JSON.stringify({ page_size: limit, has_more: hasMore, next_cursor: hasMore && last ? encodeCursor(last) : null });

/** A JSON object's text with one more member at its end. */
const withMember = (object: string, name: string, value: string): string => `${object.slice(0, -1)},"${name}":${JSON.stringify(value)}}`;

// ------------------------------------------------------------------ profiles

/**
 * The profile page of a customer as JSON text.
 * @throws BadRequest for bad parameters, and 'vehicle does not belong to customer'; NotFound 'Customer not found'
 */
export async function getCustomerProfile(id: number, wanted: GetCustomerProfile): Promise<TaggedText> {
  const limit = pageLimit('limit_appointments', wanted.limit_appointments, { fallback: 25, max: 100 });
  const vehicle = wanted.vehicle_id?.trim() ?? '';
  const isVehicleId = /^[1-9]\d{0,14}$/.test(vehicle);
  const profile = await customerProfile(id, {
    ...pageQueryOf(wanted, limit),
    now: clock.now(),
    vehicleId: isVehicleId ? Number(vehicle) : null,
    withInvoices: isYes(wanted.include_invoices),
  });
  if (!profile) throw new NotFound('Customer not found');
  if (vehicle !== '' && !(isVehicleId && profile.ownsVehicle)) throw new BadRequest('vehicle does not belong to customer');
  const { customer, stats, vehicles, page, version } = profile;
  const rest = `"stats":${stats},"vehicles":${vehicles},"appointments":${page.items},"page":${pageJson(page, limit)}`;
  const etag = etagOf(version, customer + rest);
  return { json: `{"customer":${withMember(customer, '_etag', etag)},${rest}}`, etag };
}

/** The vehicle meant by an id or, failing that, by a plate. @throws NotFound 'Vehicle not found' */
async function vehicleIdOf(idOrPlate: string): Promise<number> {
  if (/^[1-9]\d{0,14}$/.test(idOrPlate)) {
    const known = await vehicleById(Number(idOrPlate));
    if (known) return known.vehicle.id;
  }
  const byPlate = await vehicleIdByPlate(idOrPlate);
  if (byPlate === undefined) throw new NotFound('Vehicle not found');
  return byPlate;
}

/**
 * The profile page of a car as JSON text, by its id or plate.
 * @throws BadRequest for bad parameters, and 'vehicle does not belong to customer'; NotFound 'Vehicle not found'
 */
export async function getVehicleProfile(idOrPlate: string, wanted: GetVehicleProfile): Promise<TaggedText> {
  const limit = pageLimit('page_size', wanted.page_size, { fallback: 10, max: 50 });
  const customer = wanted.customer_id?.trim() ?? '';
  const isCustomerId = /^[1-9]\d{0,14}$/.test(customer);
  const page = pageQueryOf(wanted, limit);
  const status = statusOf(wanted.status);
  const profile = await vehicleProfile(await vehicleIdOf(idOrPlate), {
    ...page,
    now: clock.now(),
    customerId: isCustomerId ? Number(customer) : null,
    withInvoices: isYes(wanted.include_invoices),
    status,
  });
  if (!profile) throw new NotFound('Vehicle not found');
  if (customer !== '' && !(isCustomerId && profile.owned)) throw new BadRequest('vehicle does not belong to customer');
  const text = `{"header":${profile.header},"stats":${profile.stats},"timeline":${profile.page.items},"page":${pageJson(profile.page, limit)}}`;
  const etag = etagOf(profile.version, text);
  return { json: withMember(text, 'etag', etag), etag };
}

/** Any case, `-` for `_`, and the other spelling of CANCELED. */
function statusOf(text: string | undefined): string | null {
  if (text === undefined || text.trim() === '') return null;
  const word = text.trim().toUpperCase().replaceAll('-', '_').replace('CANCELLED', 'CANCELED');
  if (!AppointmentStatusWord.safeParse(word).success) throw new BadRequest("Invalid 'status'");
  return word;
}

// ------------------------------------------------------------------ history and visits

/** Closed appointments and payments of a customer as JSON text; one statement. @throws NotFound 'Customer not found' */
export async function getCustomerHistory(id: number): Promise<string> {
  const json = await customerHistory(id);
  if (json === undefined) throw new NotFound('Customer not found');
  return json;
}

/** The visits of a customer with their work, newest first. @throws NotFound 'Customer not found' */
export async function listVisitsOfCustomer(id: number): Promise<VisitRow[]> {
  const visits = await visitsOfCustomer(id);
  if (visits.length === 0 && !(await customerExists(id))) throw new NotFound('Customer not found');
  return visits;
}

/** The visits of the car with this plate. @throws NotFound 'Vehicle not found' */
export async function listVisitsOfPlate(plate: string): Promise<VisitRow[]> {
  const id = await vehicleIdByPlate(plate);
  if (id === undefined) throw new NotFound('Vehicle not found');
  return visitsOfVehicle(id);
}
