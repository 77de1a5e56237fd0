/** Runs one administration command; see `scripts/admin.ts`, which finds the database and starts this as a process. */
import { randomUUID } from 'node:crypto';
import { config } from '../../config';
import { newWorkStats, type Tenant, withContext } from '../../lib/context';
import { closeDatabase, openDatabase, translateDatabaseError } from '../../lib/db';
import { AppError, BadRequest, NotFound } from '../../lib/errors';
import { closeRedis } from '../../lib/redis';
import { connectRevocationRelay } from '../../lib/revocation-relay';
import { StaffRole } from '../../schemas/auth.schema';
import { EXIT, exitCodeOf } from '../../server/cluster/exit-codes';
import { unsafeApplyRetention } from '../../services/history-retention.service';
import { unsafeRevokeActorSessions } from '../../services/sessions.service';
import { setSmsNumber } from '../../services/sms-number.service';
import { setMembership, unsafeCreateStaff, unsafeFindStaffId, unsafeListStaff, unsafeSetStaffPassword } from '../../services/staff.service';
import { type TenantRecord, unsafeCreateTenant, unsafeFindTenant, unsafeListTenants } from '../../services/tenants.service';
import { type Arguments, type CommandName, readArguments, USAGE, UsageError } from './arguments';

const EXIT_REFUSED = 1;
const EXIT_USAGE = 64;
const NO_NUMBER = 'none';
const PASSWORD_INPUT_MAX = 1_000;

const commands: Record<CommandName, (args: Arguments) => Promise<void>> = {
  'user:create': async ({ values, flags }) => {
    const home = await tenantOf(values);
    const role = roleOf(values);
    const { id } = await unsafeCreateStaff({
      home,
      role,
      username: values['username'] as string,
      email: values['email'] ?? null,
      name: values['name'] as string,
      password: await readPassword(),
      allowWeak: weakAllowed(flags),
    });
    say(`created ${values['username']} (${id}), ${role} of ${home.slug}`);
  },
  'user:password': async ({ values, flags }) => {
    const { sessions } = await unsafeSetStaffPassword(values['user'] as string, {
      password: await readPassword(),
      allowWeak: weakAllowed(flags),
    });
    say(`password of ${values['user']} set; ${sessions} sessions ended`);
  },
  'user:role': async ({ values }) => {
    const home = await tenantOf(values);
    const role = roleOf(values);
    const staffId = await unsafeFindStaffId(values['user'] as string);
    await inContext(home, () => setMembership({ staffId, tenantKey: home.id, role }));
    say(`${values['user']} is ${role} of ${home.slug}`);
  },
  'user:list': async () => {
    for (const { username, email, name, is_active, locked, memberships } of await unsafeListStaff())
      say(
        [username, email ?? '-', name, memberships || 'no membership', is_active ? '' : 'inactive', locked ? 'locked' : '']
          .filter(Boolean)
          .join('  '),
      );
  },
  'tenant:create': async ({ values, flags }) => {
    const { slug, id } = await unsafeCreateTenant({
      slug: values['slug'] as string,
      name: values['name'] as string,
      ...(values['timezone'] ? { timeZone: values['timezone'] } : {}),
      ...(flags.has('default') ? { id: config.DEFAULT_TENANT_ID } : {}),
    });
    say(`created tenant ${slug} (${id})`);
  },
  'tenant:update': async ({ values }) => {
    const home = await tenantOf(values);
    const number = values['sms-number'] === NO_NUMBER ? null : (values['sms-number'] as string);
    await inContext(home, () => setSmsNumber(number));
    say(`texts of ${home.slug} come from ${number ?? 'the number of the service'}`);
  },
  'tenant:list': async () => {
    for (const { id, slug, name, timezone, status, staff } of await unsafeListTenants())
      say([slug, id, name, timezone, status, `${staff} staff`].join('  '));
  },
  'session:revoke': async ({ values }) => {
    const ended = await unsafeRevokeActorSessions('staff', await unsafeFindStaffId(values['user'] as string));
    say(`${ended} sessions of ${values['user']} ended`);
  },
  'retention:run': async ({ flags }) => {
    const dryRun = flags.has('dry-run');
    for (const { table, rows, before } of await unsafeApplyRetention({ dryRun }))
      say(
        `${table}  ${rows} rows ${dryRun ? 'to remove' : 'removed'}, ${before ? `from before ${before.toISOString().slice(0, 10)}` : 'expired'}`,
      );
  },
};

const say = (line: string): void => console.log(line);

async function tenantOf(values: Readonly<Record<string, string>>): Promise<TenantRecord> {
  const key = values['tenant'] ?? config.DEFAULT_TENANT_ID;
  const tenant = await unsafeFindTenant(key);
  if (!tenant) throw new NotFound(`No tenant ${key}`);
  return tenant;
}

function roleOf(values: Readonly<Record<string, string>>): StaffRole {
  const parsed = StaffRole.safeParse(values['role']);
  if (!parsed.success) throw new BadRequest(`Unknown role ${values['role']}: Owner, Advisor, Accountant or Technician`);
  return parsed.data;
}

function weakAllowed(flags: ReadonlySet<string>): boolean {
  if (flags.has('allow-weak') && config.isProduction) throw new BadRequest('--allow-weak is refused in production');
  return flags.has('allow-weak');
}

/** All of standard input without its last line end. */
async function readPassword(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > PASSWORD_INPUT_MAX) throw new BadRequest('Standard input holds more than a password');
  }
  return text.replace(/\r?\n$/, '');
}

const inContext = <T>(tenant: Tenant | null, work: () => Promise<T>): Promise<T> =>
  withContext(
    {
      requestId: randomUUID(),
      operation: 'admin',
      actor: { kind: 'system', id: 'admin-command', role: null },
      tenant,
      ip: null,
      userAgent: null,
      stats: newWorkStats(),
    },
    work,
  );

async function main(): Promise<number> {
  const args = readArguments(process.argv.slice(2));
  await openDatabase({ poolMin: 1, poolMax: 2 });
  const disconnect = connectRevocationRelay();
  try {
    await inContext(null, () => commands[args.command](args));
    return EXIT.ok;
  } finally {
    disconnect();
    await closeRedis();
    await closeDatabase();
  }
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`admin: ${error.message}\n${USAGE}`);
    return EXIT_USAGE;
  }
  const refusal = error instanceof AppError ? error : translateDatabaseError(error);
  if (refusal && refusal.status < 500) {
    console.error(`admin: ${refusal.message}`);
    return EXIT_REFUSED;
  }
  console.error(`admin: ${error instanceof Error ? error.message : String(error)}`);
  return exitCodeOf(error);
}

void main()
  .catch(explain)
  .then((code) => process.exit(code));
