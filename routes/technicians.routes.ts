/** Technicians: everybody on the staff reads them, the owner keeps the list. */
import { presentTechnician } from '../presenters/technicians.presenter';
import {
  ByTechnicianId,
  CreateTechnician,
  ListTechnicians,
  TechnicianList,
  TechnicianReply,
  UpdateTechnician,
} from '../schemas/technicians.schema';
import { createTechnician, listTechnicians, updateTechnician } from '../services/technicians.service';
import { type Endpoint, endpoint, Reply, STAFF_ALL } from './endpoint';

const tag = 'Technicians';
const OWNER = ['Owner'] as const;
const ownerOnly = { message: 'Insufficient permissions. Required role: Owner' };

export const techniciansEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/admin/technicians',
    id: 'listTechnicians',
    summary: 'List technicians; inactive ones on request',
    tag,
    allow: STAFF_ALL,
    forbidden: { message: 'Insufficient permissions. Required role: Advisor' },
    query: ListTechnicians,
    reply: [200, TechnicianList],
    mirror: 'all',
    cache: { reads: ['technicians'], freshSeconds: 60, staleSeconds: 240, sharedByRole: true },
    queries: 1,
    handle: async ({ query }) => ({
      technicians: (await listTechnicians({ includeInactive: query.includeInactive ?? false })).map(presentTechnician),
    }),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/technicians',
    id: 'createTechnician',
    summary: 'Add a technician',
    tag,
    allow: OWNER,
    forbidden: ownerOnly,
    body: CreateTechnician,
    reply: [201, TechnicianReply],
    errors: [409],
    mirror: 'all',
    handle: async ({ body }) => {
      const technician = presentTechnician(await createTechnician(body));
      return new Reply(technician, { headers: { Location: `/api/admin/technicians/${technician.id}` } });
    },
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/technicians/:id',
    id: 'updateTechnician',
    summary: 'Rename or deactivate a technician',
    tag,
    allow: OWNER,
    forbidden: ownerOnly,
    params: ByTechnicianId,
    body: UpdateTechnician,
    reply: [200, TechnicianReply],
    errors: [404, 409],
    mirror: 'all',
    handle: async ({ params, body }) => presentTechnician(await updateTechnician(params.id, body)),
  }),
];
