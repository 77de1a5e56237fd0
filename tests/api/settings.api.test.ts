import { admin } from '../support/database';
import { createAppointment, createStaff, createTenant, type Staff, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const PATH = '/api/admin/settings';
const DEFAULTS = {
  timezone: 'America/Los_Angeles',
  tax_basis_points: 0,
  default_block_minutes: 60,
  advisor_can_edit_catalog: false,
  advisor_can_void: true,
  public_booking: false,
  public_catalog: false,
  sms_number: null,
  quiet_from: '21:00',
  quiet_to: '08:00',
  updated_by: null,
  updated_at: expect.stringMatching(/Z$/),
};

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});

async function shop(): Promise<{ tenant: Tenant; staff: Staff; owner: Agent }> {
  const tenant = await createTenant();
  const staff = await createStaff({ tenant, role: 'Owner' });
  return { tenant, staff, owner: await actAs(app, staff) };
}
const trail = (tenant: Tenant) =>
  admin('SELECT user_id, action, entity, entity_id, before, after FROM audit_logs WHERE tenant_id = $1', [tenant.id]);

describe('GET /api/admin/settings', () => {
  test('a new shop › the defaults', async () => {
    const { owner } = await shop();
    const { status, body } = await owner.get(PATH);
    expect([status, body.data]).toEqual([200, DEFAULTS]);
  });

  test('a shop without a row › the defaults all the same', async () => {
    const { tenant, owner } = await shop();
    await admin('DELETE FROM tenant_settings WHERE tenant_id = $1', [tenant.id]);
    expect((await owner.get(PATH)).body.data).toEqual(DEFAULTS);
  });

  test.each(['Advisor', 'Accountant', 'Technician'] as const)('%s › 403, in reading and writing', async (role) => {
    const agent = await actAs(app, await createStaff({ tenant: await createTenant(), role }));
    for (const { status, body } of [await agent.get(PATH), await agent.patch(PATH).send({ tax_basis_points: 1 })])
      expect([status, body.error.message]).toEqual([403, 'Insufficient permissions. Required role: Owner']);
  });
});

describe('PATCH /api/admin/settings', () => {
  test('some settings › those change, the others stay; who and what is on record', async () => {
    const { tenant, staff, owner } = await shop();
    const update = { tax_basis_points: 875, public_catalog: true, quiet_from: '20:30' };
    const { status, body } = await owner.patch(PATH).send({ ...update, default_block_minutes: 60, nonsense: 1 });
    expect([status, body.data]).toEqual([200, { ...DEFAULTS, ...update, updated_by: staff.id }]);
    expect((await owner.get(PATH)).body.data).toEqual(body.data);
    expect(await trail(tenant)).toEqual([
      {
        user_id: staff.id,
        action: 'SETTINGS_UPDATE',
        entity: 'tenant_settings',
        entity_id: tenant.id,
        before: { tax_basis_points: 0, public_catalog: false, quiet_from: '21:00' },
        after: update,
      },
    ]);
  });

  test('what is there already › 200, nothing written', async () => {
    const { tenant, owner } = await shop();
    expect((await owner.patch(PATH).send({ tax_basis_points: 0, timezone: 'America/Los_Angeles' })).body.data).toEqual(DEFAULTS);
    expect(await trail(tenant)).toEqual([]);
  });

  test('time zone › the shop’s days move at once', async () => {
    const { tenant, owner } = await shop();
    await createAppointment({ tenant, start: new Date('2026-01-01T20:00:00Z') });
    const jobs = async () =>
      (await owner.get('/api/admin/dashboard/stats').query({ from: '2026-01-02', to: '2026-01-02' })).body.data.jobsToday;
    expect(await jobs()).toBe(0);
    expect((await owner.patch(PATH).send({ timezone: 'Asia/Tokyo' })).body.data.timezone).toBe('Asia/Tokyo');
    expect(await jobs()).toBe(1);
  });

  test('the catalogue made public › strangers read it', async () => {
    const { tenant, owner } = await shop();
    const read = async () => (await app.agent().get('/api/admin/service-operations').set('X-Tenant-Id', tenant.id)).status;
    expect(await read()).toBe(401);
    await owner.patch(PATH).send({ public_catalog: true });
    expect(await read()).toBe(200);
  });

  test.each([
    [{}, 'bad_request', undefined],
    [{ unknown: 1 }, 'bad_request', undefined],
    [{ timezone: 'Mars/Olympus' }, 'validation_failed', { timezone: 'unknown_time_zone' }],
    [{ timezone: 'PST' }, 'validation_failed', { timezone: 'unknown_time_zone' }],
    [{ tax_basis_points: 10_001 }, 'validation_failed', { tax_basis_points: 'too_large' }],
    [{ tax_basis_points: -1 }, 'validation_failed', { tax_basis_points: 'must_not_be_negative' }],
    [{ tax_basis_points: 1.5 }, 'validation_failed', { tax_basis_points: 'invalid' }],
    [{ default_block_minutes: 4 }, 'validation_failed', { default_block_minutes: 'too_small' }],
    [{ default_block_minutes: 2_881 }, 'validation_failed', { default_block_minutes: 'too_large' }],
    [{ public_booking: 'yes' }, 'validation_failed', { public_booking: 'invalid' }],
    [{ quiet_to: '24:00' }, 'validation_failed', { quiet_to: 'must_be_hh_mm' }],
    [{ quiet_to: null }, 'validation_failed', { quiet_to: 'invalid' }],
  ])('%j › 400, the field named, nothing stored', async (update, code, details) => {
    const { tenant, owner } = await shop();
    const { status, body } = await owner.patch(PATH).send(update);
    expect([status, body.error.code, body.error.details]).toEqual([400, code, details]);
    expect(await trail(tenant)).toEqual([]);
  });

  test('two owners at once › both changes are there, each on record once', async () => {
    const { tenant, owner } = await shop();
    const other = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
    const both = await Promise.all([
      owner.patch(PATH).send({ tax_basis_points: 1 }),
      other.patch(PATH).send({ default_block_minutes: 90 }),
    ]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect((await owner.get(PATH)).body.data).toMatchObject({ tax_basis_points: 1, default_block_minutes: 90 });
    expect(await trail(tenant)).toHaveLength(2);
  });

  test('no trace, no change', async () => {
    const { owner } = await shop();
    await admin('REVOKE INSERT ON audit_logs FROM autoshop_app');
    try {
      expect((await owner.patch(PATH).send({ tax_basis_points: 5 })).status).toBe(500);
    } finally {
      await admin('GRANT INSERT ON audit_logs TO autoshop_app');
    }
    expect((await owner.get(PATH)).body.data).toEqual(DEFAULTS);
  });
});
