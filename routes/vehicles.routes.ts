/** Vehicles: the staff's pages, and the routes that staff and customers share. */
import { z } from 'zod';
import { clock } from '../lib/clock';
import { type AppError, ValidationFailed } from '../lib/errors';
import { presentVisit } from '../presenters/visits.presenter';
import { ById } from '../schemas/common.schema';
import { GetVehicleProfile, VehicleProfile, Visits } from '../schemas/customer-profiles.schema';
import {
  CreateRoleVehicle,
  CreateVehicle,
  ListVehicles,
  SearchVehicles,
  TransferVehicle,
  TransferVehicles,
  UpdateVehicle,
  VehiclePage,
  VehicleReply,
  VehiclesTransferred,
  VehicleTransferred,
} from '../schemas/vehicles.schema';
import { getVehicleProfile, listVisitsOfPlate } from '../services/customer-profile.service';
import { transferVehicle, transferVehicles } from '../services/vehicle-transfers.service';
import {
  createVehicle,
  createVehicleAs,
  deactivateVehicle,
  getVehicle,
  listVehicles,
  searchVehicles,
  type TaggedVehicle,
  updateVehicle,
} from '../services/vehicles.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_READ, STAFF_WRITE } from './endpoint';
import { pageReply } from './paging';

const tag = 'Vehicles';
const READERS = [...STAFF_READ, 'Customer'] as const;
const WRITERS = [...STAFF_WRITE, 'Customer'] as const;

const idOf = ({ id }: z.infer<typeof ById>): number => id ?? 0;
const ByIdOrPlate = z.object({ id: z.string() });
const ByPlate = z.object({ plate: z.string() });

const taggedReply = ({ vehicle, etag }: TaggedVehicle): Reply => new Reply(vehicle, { etag });
const createdReply = ({ vehicle, etag }: TaggedVehicle, base: string): Reply =>
  new Reply(vehicle, { headers: { Location: `${base}/${vehicle.id}` }, etag });

/** The sentences that the forms show: what is missing first, then the VIN. */
export function vehicleRefusal(error: z.ZodError): AppError {
  const details: Record<string, string> = {};
  for (const { path, message } of error.issues) details[path.join('.') || 'body'] ??= message;
  return new ValidationFailed(details, sentenceFor(details));
}

function sentenceFor(details: Readonly<Record<string, string>>): string {
  if (Object.values(details).includes('required')) return 'Missing required fields';
  if (details['vin'] === 'length') return 'VIN must be exactly 17 characters';
  return 'Validation failed';
}

export const vehiclesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/vehicles',
    id: 'listAllVehicles',
    summary: 'List vehicles page by page',
    tag,
    allow: STAFF_READ,
    query: ListVehicles,
    reply: [200, VehiclePage],
    queries: 1,
    handle: async ({ query }) => pageReply(await listVehicles(query)),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/vehicles/search',
    id: 'searchVehicles',
    summary: 'Find vehicles by VIN',
    tag,
    allow: STAFF_READ,
    query: SearchVehicles,
    reply: [200, z.array(VehicleReply)],
    queries: 1,
    handle: ({ query }) => searchVehicles(query.vin),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/vehicles',
    id: 'createVehicle',
    summary: 'Add a vehicle to a customer',
    tag,
    allow: STAFF_WRITE,
    body: CreateVehicle,
    reply: [201, VehicleReply],
    errors: [404, 409],
    mirror: 'all',
    invalid: vehicleRefusal,
    idempotent: true,
    handle: async ({ body: { customer_id, ...fields } }) => createdReply(await createVehicle(customer_id, fields), '/api/admin/vehicles'),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/vehicles/transfer',
    id: 'transferVehicles',
    summary: 'Move several vehicles to one customer, all or none',
    tag,
    allow: STAFF_WRITE,
    body: TransferVehicles,
    reply: [200, VehiclesTransferred],
    errors: [404, 409],
    idempotent: true,
    queries: 5,
    handle: async ({ body }) => ({ transferred: await transferVehicles(body.vehicle_ids, body.customer_id) }),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/vehicles/:id',
    id: 'getVehicle',
    summary: 'A vehicle',
    tag,
    allow: STAFF_READ,
    params: ById,
    reply: [200, VehicleReply],
    errors: [404],
    revalidate: true,
    queries: 1,
    handle: async ({ params }) => taggedReply(await getVehicle(idOf(params))),
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/vehicles/:id',
    id: 'updateVehicle',
    summary: 'Change a vehicle',
    tag,
    allow: STAFF_WRITE,
    params: ById,
    body: UpdateVehicle,
    reply: [200, VehicleReply],
    errors: [404, 409, 412],
    mirror: 'all',
    invalid: vehicleRefusal,
    revalidate: true,
    handle: async ({ params, body, request }) => taggedReply(await updateVehicle(idOf(params), body, { ifMatch: request.ifMatch })),
  }),
  endpoint({
    method: 'delete',
    path: '/api/admin/vehicles/:id',
    id: 'deactivateVehicle',
    summary: 'Take a vehicle out of use; its history stays',
    tag,
    allow: STAFF_WRITE,
    params: ById,
    reply: [204],
    errors: [404],
    handle: ({ params }) => deactivateVehicle(idOf(params)),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/vehicles/:id/transfer',
    id: 'transferVehicle',
    summary: 'Move a vehicle to another customer',
    tag,
    allow: STAFF_WRITE,
    params: ById,
    body: TransferVehicle,
    reply: [200, VehicleTransferred],
    errors: [404, 409],
    mirror: 'all',
    idempotent: true,
    handle: async ({ params, body }) => {
      const { notes: _notes, ...vehicle } = await transferVehicle(idOf(params), body.customer_id);
      return { success: true, vehicle };
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/vehicles/:id/profile',
    id: 'getVehicleProfile',
    summary: 'The profile page of a vehicle, by id or plate',
    tag,
    allow: STAFF_READ,
    params: ByIdOrPlate,
    query: GetVehicleProfile,
    reply: [200, VehicleProfile],
    errors: [404],
    revalidate: true,
    queries: 3,
    handle: async ({ params, query }) => {
      const { json, etag } = await getVehicleProfile(params.id, query);
      return new Reply(new JsonText(json), { etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/vehicles/:plate/visits',
    id: 'listVehicleVisits',
    summary: 'The latest visits of the vehicle with this plate',
    tag,
    allow: STAFF_READ,
    params: ByPlate,
    reply: [200, Visits],
    errors: [404],
    queries: 2,
    handle: async ({ params }) => {
      const now = clock.now();
      return { visits: (await listVisitsOfPlate(params.plate)).map((row) => presentVisit(row, now)) };
    },
  }),

  // Shared by staff (whole tenant) and customers (own vehicles).
  endpoint({
    method: 'get',
    path: '/api/vehicles',
    id: 'listVehicles',
    summary: 'List the vehicles the caller may see',
    tag,
    allow: READERS,
    query: ListVehicles,
    reply: [200, VehiclePage],
    queries: 1,
    handle: async ({ query }) => pageReply(await listVehicles(query)),
  }),
  endpoint({
    method: 'post',
    path: '/api/vehicles',
    id: 'createRoleVehicle',
    summary: 'Add a vehicle; for a customer always an own one',
    tag,
    allow: WRITERS,
    body: CreateRoleVehicle,
    reply: [201, VehicleReply],
    errors: [404, 409],
    invalid: vehicleRefusal,
    idempotent: true,
    handle: async ({ body: { customer_id, ...fields } }) => createdReply(await createVehicleAs(customer_id, fields), '/api/vehicles'),
  }),
  endpoint({
    method: 'get',
    path: '/api/vehicles/:id',
    id: 'getRoleVehicle',
    summary: 'A vehicle the caller may see',
    tag,
    allow: READERS,
    params: ById,
    reply: [200, VehicleReply],
    errors: [404],
    queries: 1,
    handle: async ({ params }) => taggedReply(await getVehicle(idOf(params))),
  }),
  endpoint({
    method: 'put',
    path: '/api/vehicles/:id',
    id: 'replaceVehicle',
    summary: 'Change a vehicle the caller may change',
    tag,
    allow: WRITERS,
    params: ById,
    body: UpdateVehicle.omit({ is_primary: true, is_active: true }),
    reply: [200, VehicleReply],
    errors: [404, 409, 412],
    invalid: vehicleRefusal,
    handle: async ({ params, body, request }) => taggedReply(await updateVehicle(idOf(params), body, { ifMatch: request.ifMatch })),
  }),
];
