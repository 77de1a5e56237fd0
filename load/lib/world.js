/** What a run works with, listed once before it starts: accounts, ids and the run's own number. Needs `npm run db:seed -- --scale load`. */
import { BASE_URL, list, STAFF, signIn } from './client.js';
import { PASSWORD } from './recipes.js';

/** Customers of the load seed that can sign in. */
const ACCOUNTS = 50;
const PAGES = 4;
/** Sessions of each role opened beforehand: users who all signed in at once would delay what is measured in the first seconds. */
const SESSIONS = 20;

export function openWorld() {
  const startedAt = Date.now();
  const { token } = signIn(STAFF.login, STAFF.password);
  const accounts = Array.from({ length: ACCOUNTS }, (_, index) => `customer${index + 1}@load.example`);
  const pages = Array.from({ length: PAGES }, (_, index) => `page=${index + 1}&page_size=100`);
  const world = {
    startedAt,
    // Seconds since a fixed day: tells this run's rows from those of any other run.
    run: Math.floor(startedAt / 1000) - 1_750_000_000,
    accounts,
    sessions: {
      staff: Array.from({ length: SESSIONS }, () => signIn(STAFF.login, STAFF.password)),
      customer: accounts.slice(0, SESSIONS).map((account) => signIn(account, PASSWORD)),
    },
    customers: pages.flatMap((page) => list(`/api/admin/customers?${page}`, token).items.map(({ id }) => Number(id))),
    vehicles: pages.flatMap((page) => list(`/api/vehicles?${page}&active=true`, token).items),
    appointments: list('/api/appointments?limit=200', token).appointments.map(({ id }) => id),
    invoices: pages.flatMap((page) => list(`/api/invoices?${page}`, token).items.map(({ id }) => id)),
    operations: list('/api/admin/service-operations', token).map(({ id }) => id),
  };
  for (const [name, items] of Object.entries(world)) {
    if (Array.isArray(items) && items.length === 0)
      throw new Error(`no ${name} at ${BASE_URL}: seed it with npm run db:seed -- --scale load`);
  }
  return world;
}
