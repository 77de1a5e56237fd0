/**
 * The rows of the traffic profile as calls that must succeed, one recipe for each row that is served. The world they happen in
 * is the test's: a small shop of its own, or the load data.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Response } from 'supertest';
import { PROJECT_ROOT } from '../../lib/project-root';
import { endpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import type { Agent } from './server';

export interface ProfileWorld {
  owner: Agent;
  customer: Agent;
  /** A client without a session, in the shop. */
  stranger: () => Agent;
  ownerAccount: { email: string; password: string };
  customerAccount: { email: string; password: string };
  customerId: number;
  vehicleId: number;
  /** Scheduled. */
  appointmentId: number;
  /** Completed, without an invoice. */
  billableId: number;
  invoiceId: string;
}

type Caller = 'owner' | 'customer' | 'stranger';
interface Recipe {
  as: Caller;
  status: number;
  send: (agent: Agent, world: ProfileWorld) => Promise<Response>;
}

export interface ProfileRow {
  /** As the file names it: `GET /api/appointments/{id}`. */
  key: string;
  method: string;
  path: string;
}

const FILE = join(PROJECT_ROOT, 'load', 'profiles', 'traffic-profile.csv');

/** @throws Error for a file without the columns or without rows */
export function readProfile(): ProfileRow[] {
  const [header = '', ...lines] = readFileSync(FILE, 'utf8').trim().split(/\r?\n/);
  const [path, method] = ['Endpoint', 'Method'].map((name) => header.split(',').indexOf(name));
  if (path === undefined || method === undefined || path < 0 || method < 0 || lines.length === 0) throw new Error('No traffic profile');
  return lines.map((line) => {
    const cells = line.split(',');
    const row = { method: cells[method] ?? '', path: cells[path] ?? '' };
    return { ...row, key: `${row.method} ${row.path}` };
  });
}

/** Probes are served beside the endpoints. */
export const PROBES: ReadonlySet<string> = new Set(['GET /health', 'GET /api/health']);

/** The endpoint behind a row; undefined while there is none. */
export const endpointOf = ({ method, path }: ProfileRow): Endpoint | undefined =>
  endpoints.find(
    (one) =>
      one.method === method.toLowerCase() &&
      [one.path, ...(one.aliases ?? [])].some((pattern) => pattern.replace(/:\w+/g, '{}') === path.replace(/\{\w+\}/g, '{}')),
  );

const mark = (): string => randomBytes(5).toString('hex');
const VIN_LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ0123456789';
const newVehicle = () => ({
  make: 'Aurora',
  model: 'Hatch',
  year: 2019,
  vin: [...randomBytes(17)].map((byte) => VIN_LETTERS[byte % VIN_LETTERS.length]).join(''),
  license_plate: mark().toUpperCase(),
});

/** An hour of some day in the next years: two of them hardly ever meet, and without technician and vehicle they may. */
const newAppointment = ({ customerId }: ProfileWorld) => ({
  customer_id: String(customerId),
  start_ts: new Date(Date.now() + (30 + (randomBytes(2).readUInt16BE() % 700)) * 86_400_000).toISOString(),
});

const get =
  (path: string | ((world: ProfileWorld) => string), query: object = {}): Recipe['send'] =>
  async (agent, world) =>
    agent.get(typeof path === 'string' ? path : path(world)).query(query);
const read = (as: Caller, path: string | ((world: ProfileWorld) => string), query: object = {}): Recipe => ({
  as,
  status: 200,
  send: get(path, query),
});

export const RECIPES: Readonly<Record<string, Recipe>> = {
  'POST /api/auth/login': {
    as: 'stranger',
    status: 200,
    send: async (agent, { customerAccount }) => agent.post('/api/auth/login').send(customerAccount),
  },
  'POST /api/auth/logout': {
    as: 'stranger',
    status: 204,
    send: async (agent, { customerAccount }) => {
      const { body } = await agent.post('/api/auth/login').send(customerAccount);
      return agent.post('/api/auth/logout').set('Authorization', `Bearer ${(body as { data: { token: string } }).data.token}`);
    },
  },
  'POST /api/auth/register': {
    as: 'stranger',
    status: 201,
    send: async (agent) =>
      agent.post('/api/auth/register').send({ email: `${mark()}@new.example`, password: 'Wrench-and-ratchet-7', name: 'New customer' }),
  },
  'GET /api/auth/verify-token': read('customer', '/api/auth/verify-token'),
  'POST /api/auth/request-password-reset': {
    as: 'stranger',
    status: 204,
    send: async (agent, { customerAccount: { email } }) => agent.post('/api/auth/request-password-reset').send({ email }),
  },

  'GET /api/customers/profile': read('customer', '/api/customers/profile'),
  'PUT /api/customers/profile': {
    as: 'customer',
    status: 200,
    send: async (agent) => agent.put('/api/customers/profile').send({ name: `Name ${mark()}` }),
  },
  'GET /api/customers/vehicles': read('customer', '/api/customers/vehicles'),
  'POST /api/customers/vehicles': {
    as: 'customer',
    status: 201,
    send: async (agent) => agent.post('/api/customers/vehicles').send(newVehicle()),
  },
  'GET /api/customers/history': read('customer', '/api/customers/history'),

  'GET /api/appointments': read('owner', '/api/appointments', { limit: 50, offset: 50 }),
  'POST /api/appointments': {
    as: 'owner',
    status: 201,
    send: async (agent, world) => agent.post('/api/appointments').send(newAppointment(world)),
  },
  'GET /api/appointments/{id}': read('owner', ({ appointmentId }) => `/api/appointments/${appointmentId}`),
  'PUT /api/appointments/{id}': {
    as: 'owner',
    status: 200,
    send: async (agent, { appointmentId }) => agent.put(`/api/appointments/${appointmentId}`).send({ notes: `Seen ${mark()}` }),
  },
  'DELETE /api/appointments/{id}': {
    as: 'owner',
    status: 204,
    send: async (agent, world) => {
      const { body } = await agent.post('/api/appointments').send(newAppointment(world));
      return agent.delete(`/api/appointments/${(body as { data: { id: string } }).data.id}`);
    },
  },

  'GET /api/vehicles': read('owner', '/api/vehicles', { page: 2, page_size: 25 }),
  'POST /api/vehicles': {
    as: 'owner',
    status: 201,
    send: async (agent, { customerId }) => agent.post('/api/vehicles').send({ ...newVehicle(), customer_id: customerId }),
  },
  'GET /api/vehicles/{id}': read('owner', ({ vehicleId }) => `/api/vehicles/${vehicleId}`),
  'PUT /api/vehicles/{id}': {
    as: 'owner',
    status: 200,
    send: async (agent, { vehicleId }) => agent.put(`/api/vehicles/${vehicleId}`).send({ ...newVehicle(), notes: `Seen ${mark()}` }),
  },

  'GET /api/invoices': read('owner', '/api/invoices', { page: 2, page_size: 25 }),
  'POST /api/invoices': {
    as: 'owner',
    status: 201,
    send: async (agent, { billableId }) => agent.post('/api/invoices').send({ appointment_id: billableId }),
  },
  'GET /api/invoices/{id}': read('owner', ({ invoiceId }) => `/api/invoices/${invoiceId}`),
  'GET /api/invoices/{id}/pdf': read('owner', ({ invoiceId }) => `/api/invoices/${invoiceId}/pdf`),

  'GET /api/admin/analytics/dashboard': read('owner', '/api/admin/analytics/dashboard'),
  'GET /api/admin/analytics/revenue': read('owner', '/api/admin/analytics/revenue'),
  'GET /api/admin/analytics/appointments': read('owner', '/api/admin/analytics/appointments'),
  'GET /api/admin/analytics/customers': read('owner', '/api/admin/analytics/customers'),

  'GET /api/admin/customers': read('owner', '/api/admin/customers', { search: 'smith', page_size: 25 }),
  'POST /api/admin/customers': {
    as: 'owner',
    status: 201,
    send: async (agent) => agent.post('/api/admin/customers').send({ name: `Walk-in ${mark()}`, email: `${mark()}@walk-in.example` }),
  },
  'GET /api/admin/appointments': read('owner', '/api/admin/appointments'),
  'GET /api/admin/vehicles': read('owner', '/api/admin/vehicles', { q: 'Honda', page_size: 25 }),

  'GET /api/admin/export/customers': read('owner', '/api/admin/export/customers'),
  'GET /api/admin/export/appointments': read('owner', '/api/admin/export/appointments'),
  'GET /api/admin/export/invoices': read('owner', '/api/admin/export/invoices'),

  'GET /api/health': read('stranger', '/api/health'),
  'GET /health': read('stranger', '/health'),
  'GET /api/csrf-token': read('stranger', '/api/csrf-token'),
};

/** Calls a row as its caller. @throws Error for a row without a recipe */
export async function call({ key }: ProfileRow, world: ProfileWorld): Promise<{ response: Response; expected: number }> {
  const recipe = RECIPES[key];
  if (!recipe) throw new Error(`No recipe for ${key}`);
  const agent = recipe.as === 'stranger' ? world.stranger() : world[recipe.as];
  return { response: await recipe.send(agent, world), expected: recipe.status };
}
