/** Service lines of an appointment. */
import { NotFound } from '../lib/errors';
import {
  ServiceLineAdded,
  ServiceLineChanged,
  ServiceLineDeleted,
  ServiceLineFields,
  ServiceLineList,
} from '../schemas/appointment-services.schema';
import { ByIdAndLine } from '../schemas/appointments.schema';
import { ById } from '../schemas/common.schema';
import { addLine, changeLine, deleteLine, listLines } from '../services/appointment-services.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_ALL, STAFF_WRITE } from './endpoint';

const tag = 'Service lines';
const forbidden = { message: 'Insufficient permissions. Required role: Advisor' };

const idOf = (id: number | null): number => {
  if (id === null) throw new NotFound('Appointment not found');
  return id;
};

export const appointmentServicesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/appointments/:id/services',
    id: 'listServiceLines',
    summary: 'Service lines of an appointment',
    tag,
    allow: STAFF_ALL,
    forbidden,
    params: ById,
    reply: [200, ServiceLineList],
    errors: [404],
    mirror: 'all',
    queries: 1,
    handle: async ({ params }) => new JsonText(await listLines(idOf(params.id))),
  }),
  endpoint({
    method: 'post',
    path: '/api/appointments/:id/services',
    id: 'addServiceLine',
    summary: 'Add a service line; the catalogue fills what is not given',
    tag,
    allow: STAFF_WRITE,
    forbidden,
    idempotent: true,
    params: ById,
    body: ServiceLineFields,
    reply: [201, ServiceLineAdded],
    errors: [404, 409, 422],
    mirror: 'all',
    handle: async ({ params, body }) => {
      const added = await addLine(idOf(params.id), body);
      return new Reply(added, { headers: { Location: `/api/appointments/${params.id}/services/${added.id}` } });
    },
  }),
  endpoint({
    method: 'patch',
    path: '/api/appointments/:id/services/:sid',
    id: 'updateServiceLine',
    summary: 'Change a service line',
    tag,
    allow: ['Owner', 'Advisor', 'Technician'],
    forbidden,
    params: ByIdAndLine,
    body: ServiceLineFields,
    reply: [200, ServiceLineChanged],
    errors: [404, 409],
    mirror: 'all',
    handle: ({ params, body }) => changeLine(idOf(params.id), params.sid, body),
  }),
  endpoint({
    method: 'delete',
    path: '/api/appointments/:id/services/:sid',
    id: 'deleteServiceLine',
    summary: 'Delete a service line',
    tag,
    allow: STAFF_WRITE,
    forbidden,
    params: ByIdAndLine,
    reply: [200, ServiceLineDeleted],
    errors: [404, 409],
    mirror: 'all',
    handle: ({ params }) => deleteLine(idOf(params.id), params.sid),
  }),
];
