/** @alone Exports of 100,000 rows by the built service: the first of them at once, and a worker whose memory stays as it was. */
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { startService } from '../support/cluster';
import { admin } from '../support/database';
import { createStaff, createTenant } from '../support/factories';
import { openSession } from '../support/sessions';

const KIB_IN_MIB = 1024;
const GROWTH_LIMIT_MIB = 50;
/** 300 ms on a machine of its own; this one is shared. */
const FIRST_BYTE_LIMIT_MS = 900;

/** `$1` tenant: more rows than an export has. */
const MANY: readonly (readonly [name: string, sql: string])[] = [
  [
    'appointments',
    `INSERT INTO appointments (tenant_id, status, start_ts, block_end_ts, title, total_cents)
      SELECT $1, 'COMPLETED', at, at + interval '1 hour', 'Oil change', 100
      FROM generate_series(now() - interval '100004 minutes', now() - interval '1 minute', interval '1 minute') at`,
  ],
  [
    'invoices',
    `INSERT INTO invoices (tenant_id, number, status, subtotal_cents, total_cents, amount_due_cents)
      SELECT $1, n, 'SENT', 100, 100, 100 FROM generate_series(1, 100004) n`,
  ],
  [
    'customers',
    `INSERT INTO customers (tenant_id, name, email, phone)
      SELECT $1, 'Customer ' || n, 'customer-' || n || '@many.example', '+1 555 010 0000' FROM generate_series(1, 100004) n`,
  ],
];

/** Resident memory of a process, now or the highest since `forgetPeak`, in MiB. */
function memoryOf(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kibibytes === undefined) throw new Error(`No ${field} of process ${pid}`);
  return Number(kibibytes) / KIB_IN_MIB;
}

/** The kernel's record begins anew: clear_refs in proc_pid_clear_refs(5). */
const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

/** Reads a body without keeping it. */
function drain(url: string, headers: Record<string, string>): Promise<{ firstByteMs: number; lines: number }> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { headers }, (response) => {
      let [firstByteMs, lines] = [0, 0];
      response.on('data', (piece: Buffer) => {
        firstByteMs ||= performance.now() - started;
        for (const byte of piece) if (byte === 10) lines += 1;
      });
      response.on('end', () => resolve({ firstByteMs, lines }));
      response.on('error', reject);
    }).on('error', reject);
  });
}

test('100,000 appointments, invoices, customers › all of them, the first at once, memory as before; the next ones are cut off', async () => {
  const service = await startService({
    env: { WORKERS: '1', DATABASE_URL: process.env['DATABASE_URL'], DATABASE_MIGRATION_URL: process.env['DATABASE_MIGRATION_URL'] },
  });
  const pid = service.banner.pids[0] as number;
  const tenant = await createTenant();
  for (const [name, sql] of MANY) {
    await admin(sql, [tenant.id]);
    await admin(`ANALYZE ${name}`);
    const headers = await openSession(await createStaff({ tenant, role: 'Owner' }));
    const read = () => drain(`${service.url}/api/admin/export/${name}`, headers);
    // Code, plans and buffers of the first one are not the rows'.
    await read();
    // The collector may be late once, and the machine; what a read holds it holds each time, and what it waits for it waits for.
    let [firstByteMs, lines, growth] = [Infinity, 0, Infinity];
    for (let attempt = 0; attempt < 3 && (growth >= GROWTH_LIMIT_MIB || firstByteMs >= FIRST_BYTE_LIMIT_MS); attempt += 1) {
      const before = memoryOf(pid, 'VmRSS');
      forgetPeak(pid);
      ({ firstByteMs, lines } = await read());
      growth = memoryOf(pid, 'VmHWM') - before;
    }
    expect(lines).toBe(100_001);
    expect(firstByteMs).toBeLessThan(FIRST_BYTE_LIMIT_MS);
    expect(growth).toBeLessThan(GROWTH_LIMIT_MIB);
  }
  expect(await service.stop()).toEqual({ code: 0, signal: null });
});
