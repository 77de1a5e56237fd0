/** Appointments and the board. `/api/admin/appointments` is the staff's path, `/api/appointments` also the customers' own. */

import { z } from 'zod';
import { context } from '../lib/context';
import { BadRequest, InvalidTransition, NotFound, Unauthenticated } from '../lib/errors';
import {
  AppointmentCreated,
  AppointmentDrawer,
  AppointmentList,
  AppointmentMoved,
  AppointmentUpdated,
  BookingAccepted,
  ByRawId,
  CheckedIn,
  CheckedOut,
  CheckTime,
  CreateAppointment,
  ListAppointments,
  MoveAppointment,
  StatusReply,
  UpdateAppointment,
} from '../schemas/appointments.schema';
import { Board, BoardQuery } from '../schemas/board.schema';
import { ById } from '../schemas/common.schema';
import { createAppointment, createOwnAppointment } from '../services/appointment-booking.service';
import { updateAppointment } from '../services/appointment-edit.service';
import { checkIn, checkOut, moveAppointment, quickStatus } from '../services/appointment-status.service';
import { appointmentDrawer, deleteAppointment, listAppointments, listToday } from '../services/appointments.service';
import { readBoard } from '../services/board.service';
import { type Endpoint, endpoint, JsonText, Reply, type RequestFacts, STAFF_ALL, STAFF_READ, STAFF_WRITE } from './endpoint';

const tag = 'Appointments';
const forbidden = { message: 'Insufficient permissions. Required role: Advisor' };
const STAFF_BOARD = ['Owner', 'Advisor', 'Technician'] as const;

/** A refused query parameter is named in the message; clients of these lists read nothing else. */
const badQuery = (error: z.ZodError) => new BadRequest(`Invalid '${String(error.issues[0]?.path[0] ?? 'query')}' parameter`);

const idOf = (id: number | null): number => {
  if (id === null) throw new NotFound('Appointment not found');
  return id;
};

// ------------------------------------------------------------------ shared by the two paths

const list = { query: ListAppointments, reply: [200, AppointmentList], queries: 1, tag } as const;
const listHandler = {
  invalid: (error: z.ZodError) => badQuery(error),
  handle: async ({ query }: { query: ListAppointments }) => new JsonText(await listAppointments(query)),
};
const drawerHandler = async ({ params }: { params: { id: number | null } }) => new JsonText(await appointmentDrawer(idOf(params.id)));

async function update(
  { params, body, request }: { params: { id: number | null }; body: UpdateAppointment; request: RequestFacts },
  message?: string,
): Promise<Reply> {
  const { updated, etag } = await updateAppointment(idOf(params.id), body, request.ifMatch);
  return new Reply(message === undefined ? updated : { ...updated, message }, { etag });
}
const edit = {
  tag,
  params: ById,
  body: UpdateAppointment,
  reply: [200, AppointmentUpdated],
  errors: [404, 409, 412],
  mirror: ['id', 'appointment'],
  revalidate: true,
} as const;

const remove = {
  method: 'delete',
  tag,
  allow: STAFF_WRITE,
  forbidden: { ...forbidden, code: 'rbac_forbidden' },
  params: ById,
  reply: [204],
  errors: [404],
} as const;
const removeHandler = ({ params }: { params: { id: number | null } }) => deleteAppointment(idOf(params.id));

/**
 * Who shows a token means to book as the person it names. When it does not count (any more), a booking request from the
 * public page would lose technician, car and price without a word.
 * @throws Unauthenticated
 */
function assertNoStaleToken(request: RequestFacts): void {
  if (context().actor.kind === 'anonymous' && /^bearer\s+\S/i.test(request.header('authorization') ?? '')) throw new Unauthenticated();
}

const created = (result: { id: string }): Reply => new Reply(result, { headers: { Location: `/api/appointments/${result.id}` } });

export const appointmentsEndpoints: readonly Endpoint[] = [
  endpoint({
    ...list,
    ...listHandler,
    method: 'get',
    path: '/api/admin/appointments',
    id: 'listAdminAppointments',
    summary: 'List appointments by start; without parameters the newest 200',
    allow: STAFF_ALL,
    forbidden,
  }),
  endpoint({
    ...list,
    ...listHandler,
    method: 'get',
    path: '/api/appointments',
    id: 'listAppointments',
    summary: 'List appointments; customers see their own',
    allow: [...STAFF_ALL, 'Customer'],
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/appointments',
    id: 'createAdminAppointment',
    importance: 'critical',
    summary: 'Book an appointment; without a session a booking request from the public page',
    tag,
    allow: 'public',
    limit: 'booking',
    idempotent: true,
    body: CreateAppointment,
    reply: [201, z.union([AppointmentCreated, BookingAccepted])],
    errors: [401, 403, 404, 409, 422],
    mirror: ['id', 'appointment'],
    handle: async ({ body, request }) => {
      assertNoStaleToken(request);
      return created(await createAppointment(body));
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/appointments',
    id: 'createAppointment',
    importance: 'critical',
    summary: 'Book an appointment; customers book for themselves',
    tag,
    allow: [...STAFF_WRITE, 'Customer'],
    forbidden,
    idempotent: true,
    body: CreateAppointment,
    reply: [201, AppointmentCreated],
    errors: [404, 409, 422],
    mirror: ['id', 'appointment'],
    handle: async ({ body }) => created(await createOwnAppointment(body)),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/appointments/board',
    id: 'readBoard',
    importance: 'critical',
    summary: 'The board of a day, with unfinished work carried over, or of a range',
    tag: 'Board',
    allow: STAFF_ALL,
    forbidden,
    query: BoardQuery,
    invalid: badQuery,
    reply: [200, Board],
    mirror: 'all',
    revalidate: true,
    cache: {
      reads: ['appointments', 'appointment_services', 'customers', 'service_operations', 'technicians', 'vehicles'],
      freshSeconds: 60,
      sharedByRole: true,
    },
    queries: 1,
    handle: async ({ query }) => {
      const { json, etag } = await readBoard(query);
      return new Reply(new JsonText(json), { etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/appointments/:id',
    id: 'getAppointment',
    importance: 'critical',
    summary: 'Everything about one appointment; customers find their own',
    tag,
    allow: [...STAFF_ALL, 'Customer'],
    params: ById,
    reply: [200, AppointmentDrawer],
    errors: [404],
    queries: 1,
    handle: drawerHandler,
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/appointments/:id',
    id: 'getAdminAppointment',
    summary: 'Everything about one appointment',
    tag,
    allow: STAFF_ALL,
    forbidden,
    params: ById,
    reply: [200, AppointmentDrawer],
    errors: [404],
    queries: 1,
    handle: drawerHandler,
  }),
  endpoint({
    ...edit,
    method: 'patch',
    path: '/api/appointments/:id',
    aliases: ['/api/admin/appointments/:id'],
    id: 'updateAppointment',
    summary: 'Change the fields that are sent; null clears',
    allow: STAFF_BOARD,
    forbidden,
    handle: (input) => update(input),
  }),
  endpoint({
    ...edit,
    method: 'put',
    path: '/api/appointments/:id',
    aliases: ['/api/admin/appointments/:id'],
    id: 'putAppointment',
    summary: 'The same as PATCH',
    allow: STAFF_BOARD,
    forbidden,
    handle: (input) => update(input, 'Appointment updated'),
  }),
  endpoint({
    ...remove,
    path: '/api/appointments/:id',
    aliases: ['/api/admin/appointments/:id'],
    id: 'deleteAppointment',
    summary: 'Hide an appointment; invoices and payments stay',
    handle: removeHandler,
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/appointments/:id/move',
    id: 'moveAppointment',
    importance: 'critical',
    summary: 'Drop a card into a column of the board',
    tag: 'Board',
    allow: STAFF_BOARD,
    forbidden,
    limit: 'move',
    params: ByRawId,
    body: MoveAppointment,
    invalid: (error, part) =>
      new BadRequest('Invalid status or position', {
        details: Object.fromEntries(error.issues.map(({ path, message }) => [path.join('.') || part, message])),
      }),
    reply: [200, AppointmentMoved],
    errors: [404, 409],
    handle: ({ params, body }) => {
      if (!/^[1-9]\d{0,15}$/.test(params.id)) throw new InvalidTransition('Invalid transition');
      return moveAppointment(Number(params.id), body);
    },
  }),
  ...(
    [
      ['start', 'IN_PROGRESS'],
      ['ready', 'READY'],
      ['complete', 'COMPLETED'],
    ] as const
  ).map(([action, status]) =>
    endpoint({
      method: 'post',
      path: `/api/appointments/:id/${action}`,
      id: `${action}Appointment`,
      importance: 'critical',
      summary: `Set the status ${status}; no change when it is set already`,
      tag: 'Board',
      allow: STAFF_BOARD,
      forbidden,
      params: ById,
      reply: [200, StatusReply],
      errors: [404],
      handle: ({ params }) => quickStatus(idOf(params.id), status),
    }),
  ),
  endpoint({
    method: 'post',
    path: '/api/appointments/:id/check-in',
    id: 'checkInAppointment',
    importance: 'critical',
    summary: 'Record the arrival of the car',
    tag: 'Board',
    allow: STAFF_WRITE,
    forbidden,
    params: ById,
    body: CheckTime,
    reply: [200, CheckedIn],
    errors: [404],
    handle: ({ params, body }) => checkIn(idOf(params.id), body),
  }),
  endpoint({
    method: 'post',
    path: '/api/appointments/:id/check-out',
    id: 'checkOutAppointment',
    importance: 'critical',
    summary: 'Record the departure of the car',
    tag: 'Board',
    allow: STAFF_WRITE,
    forbidden,
    params: ById,
    body: CheckTime,
    reply: [200, CheckedOut],
    errors: [404],
    handle: ({ params, body }) => checkOut(idOf(params.id), body),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/appointments/today',
    id: 'listTodaysAppointments',
    importance: 'critical',
    summary: 'The appointments of the shop’s current day',
    tag,
    allow: STAFF_READ,
    forbidden,
    reply: [200, AppointmentList],
    queries: 1,
    handle: async () => new JsonText(await listToday()),
  }),
];
