/** Reads of vehicles: one, many, and the page by page list with its true total. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';
import { plateKey } from '../schemas/identity.schema';
import type { VehicleReply } from '../schemas/vehicles.schema';

/** Wire names: these reads are the reply. */
const COLUMNS = `v.id, v.customer_id, v.make, v.model, v.year, v.vin, v.license_plate, v.notes, v.is_primary, v.is_active`;

export interface VersionedVehicle {
  vehicle: VehicleReply;
  version: number;
}

/** The tenant's vehicle; only the owner's own when `ownerId` is given. */
export async function vehicleById(id: number, ownerId: number | null = null): Promise<VersionedVehicle | undefined> {
  const [row] = await query<VehicleReply & { version: number }>(
    {
      name: 'vehicle_by_id',
      text: `SELECT ${COLUMNS}, v.version FROM vehicles v WHERE v.tenant_id = $1 AND v.id = $2 AND ($3::bigint IS NULL OR v.customer_id = $3::bigint)`,
    },
    [tenant().id, id, ownerId],
  );
  if (!row) return undefined;
  const { version, ...vehicle } = row;
  return { vehicle, version };
}

/** A customer's vehicles, primary first, then the newest; deactivated ones last, or left out. */
export function vehiclesOfCustomer(customerId: number, { activeOnly }: { activeOnly: boolean }): Promise<VehicleReply[]> {
  return query<VehicleReply>(
    {
      name: 'vehicles_of_customer',
      text: `SELECT ${COLUMNS} FROM vehicles v WHERE v.tenant_id = $1 AND v.customer_id = $2 AND (v.is_active OR NOT $3::boolean)
        ORDER BY v.is_active DESC, v.is_primary DESC, v.created_at DESC, v.id DESC`,
    },
    [tenant().id, customerId, activeOnly],
  );
}

/** Vehicles whose VIN contains the text, by VIN; at most 50. */
export function vehiclesByVin(vin: string): Promise<VehicleReply[]> {
  return query<VehicleReply>(
    {
      name: 'vehicles_by_vin',
      text: `SELECT ${COLUMNS} FROM vehicles v WHERE v.tenant_id = $1 AND strpos(v.vin, upper($2)) > 0 ORDER BY v.vin, v.id LIMIT 50`,
    },
    [tenant().id, vin],
  );
}

/** The id of a vehicle by its plate, compared by letters and digits; an active one before a deactivated one. */
export async function vehicleIdByPlate(plate: string): Promise<number | undefined> {
  const key = plateKey(plate);
  if (key === '') return undefined;
  const [row] = await query<{ id: number }>(
    {
      name: 'vehicle_id_by_plate',
      text: 'SELECT v.id FROM vehicles v WHERE v.tenant_id = $1 AND v.plate_key = $2 ORDER BY v.is_active DESC, v.id DESC LIMIT 1',
    },
    [tenant().id, key],
  );
  return row?.id;
}

export interface VehicleListQuery {
  limit: number;
  offset: number;
  customerId?: number | undefined;
  vin?: string | undefined;
  make?: string | undefined;
  model?: string | undefined;
  year?: number | undefined;
  /** Plate, VIN, make or model. */
  q?: string | undefined;
  active?: boolean | undefined;
}

type Filter = Exclude<keyof VehicleListQuery, 'limit' | 'offset'>;
/** `strpos` takes the text literally, so `%` and `_` need no escaping. */
const CONDITIONS: Readonly<Record<Filter, (value: string) => string>> = {
  customerId: (value) => `v.customer_id = ${value}::bigint`,
  vin: (value) => `strpos(v.vin, upper(${value})) > 0`,
  make: (value) => `strpos(lower(v.make), lower(${value})) > 0`,
  model: (value) => `strpos(lower(v.model), lower(${value})) > 0`,
  year: (value) => `v.year = ${value}::int`,
  q: (
    value,
  ) => `(strpos(v.license_plate, upper(${value})) > 0 OR strpos(v.vin, upper(${value})) > 0 OR strpos(lower(v.make), lower(${value})) > 0
        OR strpos(lower(v.model), lower(${value})) > 0 OR strpos(v.plate_key, COALESCE(plate_key(${value}), '-')) > 0)`,
  active: (value) => `v.is_active = ${value}::boolean`,
};

/** `$1` tenant, `$2` rows, `$3` offset, then the value of each filter in turn. One text for each set of filters, so each is planned for itself. */
export function vehicleListSql(filters: readonly Filter[]): { name: string; text: string } {
  const where = ['v.tenant_id = $1', ...filters.map((filter, index) => CONDITIONS[filter](`$${index + 4}`))].join(' AND ');
  return {
    name: ['vehicle_list', ...filters].join('_'),
    text: `SELECT (SELECT count(*) FROM vehicles v WHERE ${where}) AS total, (SELECT COALESCE(json_agg(r), '[]')::text FROM (
      SELECT ${COLUMNS}, iso_utc(v.created_at) AS created_at, iso_utc(v.updated_at) AS updated_at
      FROM vehicles v WHERE ${where} ORDER BY v.created_at DESC, v.id DESC LIMIT $2::int OFFSET $3::int) r) AS items`,
  };
}

/** One page, newest first, and the true total; one statement. `items` is JSON text. */
export async function vehicleList({ limit, offset, ...wanted }: VehicleListQuery): Promise<{ total: number; items: string }> {
  const filters = (Object.keys(CONDITIONS) as Filter[]).filter((filter) => wanted[filter] !== undefined);
  const values = [tenant().id, limit, offset, ...filters.map((filter) => wanted[filter])];
  const [row] = await query<{ total: number; items: string }>(vehicleListSql(filters), values);
  return row ?? { total: 0, items: '[]' };
}
