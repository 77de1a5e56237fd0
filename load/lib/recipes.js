/**
 * How to call each row of the traffic profile, keyed as the profile names it. A row without a recipe is reported as not served yet.
 *
 * as       who calls: `staff` (owner), `customer`, or `nobody`
 * expect   the only right answer; anything else counts as an error of the row
 * prepare  work before the measured request (not counted); its result is `given`
 * request  `({ world, mine, unique, n, pick, given }) => ({ path?, query?, body?, token? })`; `unique` differs in every
 *          iteration of every run, `n` counts iterations, `world` holds the ids listed at start
 */

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const PASSWORD = 'Load-test-1!';

const MAKES = [
  ['Toyota', 'Corolla'],
  ['Ford', 'F-150'],
  ['Honda', 'CR-V'],
  ['Subaru', 'Outback'],
];

/** Letters and digits of a VIN: no I, O or Q. */
const VIN_ALPHABET = '0123456789ABCDEFGHJKLMNPRSTUVWXYZ';

/** A VIN that no other iteration makes: the number in base 33, at fixed width. */
export function vin(run, n) {
  let text = '';
  for (let rest = run * 1_000_000 + n; text.length < 12; rest = Math.floor(rest / VIN_ALPHABET.length)) {
    text = VIN_ALPHABET[rest % VIN_ALPHABET.length] + text;
  }
  return `LD0AD${text}`;
}

function newVehicle({ world, n }) {
  const [make, model] = MAKES[n % MAKES.length];
  const id = vin(world.run, n);
  return { make, model, year: 2005 + (n % 20), vin: id, license_plate: `L${id.slice(-9)}` };
}

/**
 * A booking that collides with no other of this run: each vehicle gets its own hours, one after the other, without a technician.
 * Runs start at different days, so that a second run on the same data finds free hours too.
 */
function newAppointment({ world, n }) {
  const vehicle = world.vehicles[n % world.vehicles.length];
  const firstDay = Math.floor(world.startedAt / DAY_MS) + 60 + (world.run % 3000);
  const hour = Math.floor(n / world.vehicles.length);
  return {
    customer_id: String(vehicle.customer_id),
    vehicle_id: String(vehicle.id),
    start_ts: new Date(firstDay * DAY_MS + hour * HOUR_MS).toISOString(),
    end_ts: new Date(firstDay * DAY_MS + hour * HOUR_MS + HOUR_MS / 2).toISOString(),
    service_operation_ids: world.operations.slice(n % Math.max(1, world.operations.length - 1)).slice(0, 1),
    notes: `load run ${world.run}`,
  };
}

const GRANULARITIES = ['day', 'week', 'month'];
const SEARCHES = ['an', 'smith', '555', 'load.example', 'ma'];

export const recipes = {
  'POST /api/auth/login': {
    as: 'nobody',
    expect: 200,
    request: ({ world, n }) => ({ body: { email: world.accounts[n % world.accounts.length], password: PASSWORD } }),
  },
  'POST /api/auth/logout': {
    as: 'nobody',
    expect: 204,
    prepare: ({ world, n, signIn }) => signIn(world.accounts[n % world.accounts.length], PASSWORD),
    request: ({ given }) => ({ token: given.token, body: {} }),
  },
  'POST /api/auth/register': {
    as: 'nobody',
    expect: 201,
    request: ({ unique }) => ({ body: { email: `new-${unique}@load.example`, password: PASSWORD, name: `New ${unique}` } }),
  },
  'GET /api/auth/verify-token': { as: 'customer', expect: 200, request: () => ({}) },
  'POST /api/auth/request-password-reset': {
    as: 'nobody',
    expect: 204,
    request: ({ world, n }) => ({ body: { email: world.accounts[n % world.accounts.length] } }),
  },

  'GET /api/customers/profile': { as: 'customer', expect: 200, request: () => ({}) },
  'PUT /api/customers/profile': { as: 'customer', expect: 200, request: ({ unique }) => ({ body: { name: `Customer ${unique}` } }) },
  'GET /api/customers/vehicles': { as: 'customer', expect: 200, request: () => ({}) },
  'POST /api/customers/vehicles': { as: 'customer', expect: 201, request: (call) => ({ body: newVehicle(call) }) },
  'GET /api/customers/history': { as: 'customer', expect: 200, request: () => ({}) },

  'GET /api/appointments': { as: 'staff', expect: 200, request: ({ n }) => ({ query: { limit: 50, offset: (n % 4) * 50 } }) },
  'POST /api/appointments': { as: 'staff', expect: 201, request: (call) => ({ body: newAppointment(call) }) },
  'GET /api/appointments/{id}': { as: 'staff', expect: 200, request: ({ world, pick }) => ({ path: { id: pick(world.appointments) } }) },
  'PUT /api/appointments/{id}': {
    as: 'staff',
    expect: 200,
    request: ({ world, pick, unique }) => ({ path: { id: pick(world.appointments) }, body: { notes: `Seen in ${unique}` } }),
  },
  'DELETE /api/appointments/{id}': {
    as: 'staff',
    expect: 204,
    prepare: (call) => call.create('/api/appointments', newAppointment(call)),
    request: ({ given }) => ({ path: { id: given.id } }),
  },

  'GET /api/vehicles': { as: 'staff', expect: 200, request: ({ n }) => ({ query: { page: 1 + (n % 20), page_size: 25 } }) },
  'POST /api/vehicles': {
    as: 'staff',
    expect: 201,
    request: (call) => ({ body: { ...newVehicle(call), customer_id: call.pick(call.world.customers) } }),
  },
  'GET /api/vehicles/{id}': { as: 'staff', expect: 200, request: ({ world, pick }) => ({ path: { id: pick(world.vehicles).id } }) },
  'PUT /api/vehicles/{id}': {
    as: 'staff',
    expect: 200,
    request: ({ world, pick, unique }) => {
      const { id, make, model, year, vin: known, license_plate } = pick(world.vehicles);
      return { path: { id }, body: { make, model, year, vin: known, license_plate, notes: `Seen in ${unique}` } };
    },
  },

  'GET /api/invoices': { as: 'staff', expect: 200, request: ({ n }) => ({ query: { page: 1 + (n % 20), page_size: 25 } }) },
  'POST /api/invoices': {
    as: 'staff',
    expect: 201,
    prepare: (call) => call.create('/api/appointments', { ...newAppointment(call), status: 'COMPLETED' }),
    request: ({ given }) => ({ body: { appointment_id: given.id } }),
  },
  'GET /api/invoices/{id}': { as: 'staff', expect: 200, request: ({ world, pick }) => ({ path: { id: pick(world.invoices) } }) },
  'GET /api/invoices/{id}/pdf': { as: 'staff', expect: 200, request: ({ world, pick }) => ({ path: { id: pick(world.invoices) } }) },

  'GET /api/admin/customers': {
    as: 'staff',
    expect: 200,
    request: ({ n }) => ({
      query: n % 2 ? { search: SEARCHES[n % SEARCHES.length], page_size: 25 } : { page: 1 + (n % 20), page_size: 25 },
    }),
  },
  'POST /api/admin/customers': {
    as: 'staff',
    expect: 201,
    request: ({ unique, n }) => ({
      body: { name: `Walk-in ${unique}`, email: `walk-in-${unique}@load.example`, phone: `+1 555 01${String(n % 100).padStart(2, '0')}` },
    }),
  },
  'GET /api/admin/appointments': { as: 'staff', expect: 200, request: () => ({}) },
  'GET /api/admin/vehicles': {
    as: 'staff',
    expect: 200,
    request: ({ n }) => ({ query: { q: MAKES[n % MAKES.length][0], page_size: 25 } }),
  },
  'GET /api/admin/analytics/dashboard': { as: 'staff', expect: 200, request: () => ({}) },
  'GET /api/admin/analytics/revenue': { as: 'staff', expect: 200, request: ({ n }) => ({ query: { granularity: GRANULARITIES[n % 3] } }) },
  'GET /api/admin/analytics/appointments': {
    as: 'staff',
    expect: 200,
    request: ({ n }) => ({ query: { granularity: GRANULARITIES[n % 3] } }),
  },
  'GET /api/admin/analytics/customers': { as: 'staff', expect: 200, request: () => ({}) },
  'GET /api/admin/export/customers': { as: 'staff', expect: 200, request: () => ({}) },
  'GET /api/admin/export/appointments': { as: 'staff', expect: 200, request: () => ({}) },
  'GET /api/admin/export/invoices': { as: 'staff', expect: 200, request: () => ({}) },

  'GET /api/health': { as: 'nobody', expect: 200, request: () => ({}) },
  'GET /health': { as: 'nobody', expect: 200, request: () => ({}) },
  'GET /api/csrf-token': { as: 'nobody', expect: 200, request: () => ({}) },
};
