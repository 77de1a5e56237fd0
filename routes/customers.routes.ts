/** Customers for the staff. */
import type { z } from 'zod';
import { clock } from '../lib/clock';
import { type AppError, ValidationFailed } from '../lib/errors';
import { presentNote } from '../presenters/customer-notes.presenter';
import {
  presentCreatedCustomer,
  presentFoundCustomers,
  presentLookup,
  presentSearchRow,
  presentUpdatedCustomer,
} from '../presenters/customers.presenter';
import { presentVisit } from '../presenters/visits.presenter';
import { ById } from '../schemas/common.schema';
import { CreateNote, ListNotes, NoteReply, NotesReply } from '../schemas/customer-notes.schema';
import { CustomerHistory, CustomerProfile, GetCustomerProfile, Visits } from '../schemas/customer-profiles.schema';
import {
  CreateCustomer,
  CustomerCreated,
  CustomerDetail,
  CustomerPage,
  CustomerUpdated,
  ExportCustomers,
  GetCustomer,
  ListCustomers,
  LookupCustomer,
  LookupReply,
  RecentCustomers,
  RecentCustomersReply,
  SearchCustomers,
  SearchReply,
  UpdateCustomer,
} from '../schemas/customers.schema';
import { VehiclesOfCustomer } from '../schemas/vehicles.schema';
import { createNote, listNotes } from '../services/customer-notes.service';
import { getCustomerHistory, getCustomerProfile, listVisitsOfCustomer } from '../services/customer-profile.service';
import {
  createCustomer,
  getCustomer,
  listCustomers,
  listRecentCustomers,
  lookUpByPhone,
  searchCustomers,
  updateCustomer,
} from '../services/customers.service';
import { exportCustomers } from '../services/exports.service';
import { listVehiclesOfCustomer } from '../services/vehicles.service';
import { type Endpoint, endpoint, JsonText, Reply, STAFF_READ, STAFF_WRITE, StreamReply } from './endpoint';
import { pageReply } from './paging';

const tag = 'Customers';
/** `ById` makes null of what cannot be an id, and the HTTP layer a 404 of null. */
const idOf = ({ id }: z.infer<typeof ById>): number => id ?? 0;

/** Forms know the name as `full_name`. */
function nameAsFullName(error: z.ZodError): AppError {
  const details: Record<string, string> = {};
  for (const { path, message } of error.issues) {
    const field = path.reduce<string>(
      (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}${text && '.'}${String(key)}`),
      '',
    );
    details[field === 'name' ? 'full_name' : field || 'body'] ??= message;
  }
  return new ValidationFailed(details);
}

export const customersEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'get',
    path: '/api/customers/lookup',
    id: 'lookUpCustomer',
    summary: 'Find customers by phone number',
    tag,
    allow: STAFF_READ,
    query: LookupCustomer,
    reply: [200, LookupReply],
    queries: 1,
    handle: async ({ query }) => presentLookup(await lookUpByPhone(query.phone)),
  }),
  endpoint({
    method: 'get',
    path: '/api/customers/:id/history',
    id: 'getCustomerHistory',
    summary: 'Closed appointments and payments of a customer',
    tag,
    allow: STAFF_READ,
    params: ById,
    reply: [200, CustomerHistory],
    errors: [404],
    queries: 1,
    handle: async ({ params }) => new JsonText(await getCustomerHistory(idOf(params))),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers',
    id: 'listCustomers',
    summary: 'List customers page by page',
    tag,
    allow: STAFF_READ,
    query: ListCustomers,
    reply: [200, CustomerPage],
    queries: 1,
    handle: async ({ query }) => pageReply(await listCustomers(query)),
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/customers',
    id: 'createCustomer',
    summary: 'Create a customer',
    tag,
    allow: STAFF_WRITE,
    body: CreateCustomer,
    reply: [201, CustomerCreated],
    errors: [409],
    invalid: nameAsFullName,
    idempotent: true,
    handle: async ({ body }) => {
      const { customer, etag } = await createCustomer(body);
      return new Reply(presentCreatedCustomer(customer, etag), { headers: { Location: `/api/admin/customers/${customer.id}` }, etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/search',
    id: 'searchCustomers',
    summary: 'Search customers and vehicles by name, e-mail, phone or plate',
    tag,
    allow: STAFF_READ,
    query: SearchCustomers,
    reply: [200, SearchReply],
    mirror: ['items'],
    queries: 1,
    handle: async ({ query }) => {
      const rows = await searchCustomers(query);
      return new Reply({ items: rows.map(presentSearchRow) }, { root: { customers: presentFoundCustomers(rows) } });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/recent-customers',
    id: 'listRecentCustomers',
    summary: 'Customers of the latest appointments',
    tag,
    allow: STAFF_READ,
    query: RecentCustomers,
    reply: [200, RecentCustomersReply],
    queries: 1,
    handle: async ({ query: { limit } }) => new JsonText(`{"recent_customers":${await listRecentCustomers(limit)},"limit":${limit}}`),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/:id',
    id: 'getCustomer',
    summary: 'A customer with vehicles, appointments and figures',
    tag,
    allow: STAFF_READ,
    params: ById,
    query: GetCustomer,
    reply: [200, CustomerDetail],
    errors: [404],
    revalidate: true,
    queries: 4,
    handle: async ({ params, query }) => {
      const { json, etag } = await getCustomer(idOf(params), query.include);
      return new Reply(new JsonText(json), { etag });
    },
  }),
  endpoint({
    method: 'patch',
    path: '/api/admin/customers/:id',
    id: 'updateCustomer',
    summary: 'Change a customer',
    tag,
    allow: STAFF_WRITE,
    params: ById,
    body: UpdateCustomer,
    reply: [200, CustomerUpdated],
    errors: [404, 409, 412],
    invalid: nameAsFullName,
    revalidate: true,
    handle: async ({ params, body, request }) => {
      const { customer, etag } = await updateCustomer(idOf(params), body, request.ifMatch);
      return new Reply(presentUpdatedCustomer(customer, etag), { etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/:id/profile',
    id: 'getCustomerProfile',
    summary: 'The profile page of a customer',
    tag,
    allow: STAFF_READ,
    params: ById,
    query: GetCustomerProfile,
    reply: [200, CustomerProfile],
    errors: [404],
    mirror: 'all',
    revalidate: true,
    queries: 1,
    handle: async ({ params, query }) => {
      const { json, etag } = await getCustomerProfile(idOf(params), query);
      return new Reply(new JsonText(json), { etag });
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/:id/visits',
    id: 'listCustomerVisits',
    summary: 'The latest visits of a customer with their work',
    tag,
    allow: STAFF_READ,
    params: ById,
    reply: [200, Visits],
    errors: [404],
    queries: 2,
    handle: async ({ params }) => {
      const now = clock.now();
      return { visits: (await listVisitsOfCustomer(idOf(params))).map((row) => presentVisit(row, now)) };
    },
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/:id/vehicles',
    id: 'listCustomerVehicles',
    summary: 'The vehicles of a customer',
    tag,
    allow: STAFF_READ,
    params: ById,
    reply: [200, VehiclesOfCustomer],
    errors: [404],
    queries: 2,
    handle: async ({ params }) => ({ vehicles: await listVehiclesOfCustomer(idOf(params)) }),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/customers/:id/notes',
    id: 'listCustomerNotes',
    summary: 'Notes about a customer, newest first',
    tag,
    allow: STAFF_READ,
    params: ById,
    query: ListNotes,
    reply: [200, NotesReply],
    errors: [404],
    queries: 1,
    handle: async ({ params, query }) => {
      const { notes, ...page } = await listNotes(idOf(params), query);
      return { notes: notes.map(presentNote), ...page };
    },
  }),
  endpoint({
    method: 'post',
    path: '/api/admin/customers/:id/notes',
    id: 'createCustomerNote',
    summary: 'Add a note about a customer',
    tag,
    allow: STAFF_READ,
    params: ById,
    body: CreateNote,
    reply: [200, NoteReply],
    errors: [404],
    idempotent: true,
    handle: async ({ params, body }) => presentNote(await createNote(idOf(params), body)),
  }),
  endpoint({
    method: 'get',
    path: '/api/admin/export/customers',
    id: 'exportCustomers',
    importance: 'background',
    summary: 'All customers as a CSV file',
    tag,
    allow: STAFF_READ,
    query: ExportCustomers,
    reply: [200],
    media: ['text/csv'],
    limit: 'export',
    replica: true,
    handle: async ({ query }) =>
      new StreamReply({ contentType: 'text/csv; charset=utf-8', filename: 'customers_export.csv', chunks: await exportCustomers(query) }),
  }),
];
