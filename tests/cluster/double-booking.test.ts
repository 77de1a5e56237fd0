/** @alone One slot, four workers: the database decides who gets it, whichever process asks. */
import { startService } from '../support/cluster';
import { createCustomer, createStaff, createTechnician, createTenant, createVehicle, type Staff, type Tenant } from '../support/factories';
import { TIMES } from './support';

const WORKERS = 4;
const BOOKINGS = 50;
const HOUR_MS = 3_600_000;

let url: string;
let tenant: Tenant;
let headers: Record<string, string>;

beforeAll(async () => {
  const service = await startService({
    env: {
      WORKERS: String(WORKERS),
      DATABASE_URL: process.env['DATABASE_URL'],
      DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'],
    },
  });
  url = service.url;
  tenant = await createTenant();
  headers = { Authorization: `Bearer ${await tokenOf(await createStaff({ tenant }))}`, 'Content-Type': 'application/json' };
  // The first requests of a process are slow.
  const { id } = await createTechnician({ tenant });
  const first = await Promise.all(
    Array.from({ length: BOOKINGS }, (_, hour) => book({ tech_id: id, start_ts: at(hour), end_ts: at(hour + 1) })),
  );
  expect(first.map(({ status }) => status)).toEqual(first.map(() => 201));
});

async function tokenOf({ username, password, tenant: { id } }: Staff): Promise<string> {
  const response = await fetch(`${url}/api/admin/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Tenant-Id': id },
    body: JSON.stringify({ username, password }),
  });
  return ((await response.json()) as { data: { token: string } }).data.token;
}

interface Booked {
  status: number;
  body: { data: { id: string } | null; error: { message: string; details: { conflicts: { tech: string[]; vehicle: string[] } } } | null };
}

/** On a connection of its own each, so that the bookings spread over the workers. */
async function book(body: object): Promise<Booked> {
  const response = await fetch(`${url}/api/admin/appointments`, {
    method: 'POST',
    headers: { ...headers, Connection: 'close' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Booked['body'] };
}

const FIRST_HOUR = Math.floor(Date.now() / HOUR_MS) + 48;
const at = (hours: number): string => new Date((FIRST_HOUR + hours) * HOUR_MS).toISOString();

test.each(['technician', 'vehicle'] as const)(
  '%s › 50 bookings of one slot at once › one 201, 49 × 409 that name it, within 2 s',
  async (kind) => {
    const customer = await createCustomer({ tenant });
    const subject =
      kind === 'technician'
        ? { tech_id: (await createTechnician({ tenant })).id }
        : { vehicle_id: String((await createVehicle({ customer })).id), customer_id: String(customer.id) };
    const started = performance.now();
    const answers = await Promise.all(Array.from({ length: BOOKINGS }, () => book({ ...subject, start_ts: at(0), end_ts: at(1) })));
    const ms = performance.now() - started;

    const won = answers.filter(({ status }) => status === 201);
    const lost = answers.filter(({ status }) => status === 409);
    expect([won.length, lost.length]).toEqual([1, BOOKINGS - 1]);
    const id = won[0]?.body.data?.id;
    for (const { body } of lost) {
      expect(body.error?.message).toBe('Scheduling conflict detected');
      expect(body.error?.details.conflicts).toEqual(kind === 'technician' ? { tech: [id], vehicle: [] } : { tech: [], vehicle: [id] });
    }
    expect(ms).toBeLessThan(2_000 * TIMES);
    // What ends when the next begins is no conflict.
    const neighbours = [
      await book({ ...subject, start_ts: at(1), end_ts: at(2) }),
      await book({ ...subject, start_ts: at(-1), end_ts: at(0) }),
    ];
    expect(neighbours.map(({ status }) => status)).toEqual([201, 201]);
  },
);
