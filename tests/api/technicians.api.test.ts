/**  @core */
import { admin } from '../support/database';
import { createAppointment, createStaff, createTechnician, createTenant, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

let app: TestApp;
let tenant: Tenant;
let owner: Agent;

beforeAll(async () => {
  app = await startApp();
});
beforeEach(async () => {
  tenant = await createTenant();
  owner = await actAs(app, await createStaff({ tenant, role: 'Owner' }));
});

const list = async (query = ''): Promise<{ initials: string; isActive: boolean }[]> => {
  const { body } = await owner.get(`/api/admin/technicians${query}`);
  expect(body.technicians).toEqual(body.data.technicians);
  return body.technicians;
};

test('the list › active ones by initials; inactive ones on request', async () => {
  await createTechnician({ tenant, columns: { initials: 'ZZ' } });
  await createTechnician({ tenant, columns: { initials: 'AB' } });
  await createTechnician({ tenant, columns: { initials: 'MM', is_active: false } });
  expect((await list()).map(({ initials }) => initials)).toEqual(['AB', 'ZZ']);
  for (const word of ['true', '1'])
    expect((await list(`?includeInactive=${word}`)).map(({ initials, isActive }) => [initials, isActive])).toEqual([
      ['AB', true],
      ['MM', false],
      ['ZZ', true],
    ]);
});

test('a new technician › 201 in capital letters, audited; the same initials again › 409', async () => {
  const { status, body } = await owner.post('/api/admin/technicians').send({ name: ' Rowan Field ', initials: 'rf' });
  expect(status).toBe(201);
  expect(body.data).toEqual({
    id: body.id,
    name: 'Rowan Field',
    initials: 'RF',
    isActive: true,
    createdAt: expect.stringMatching(/Z$/),
    updatedAt: expect.stringMatching(/Z$/),
  });
  expect(await admin('SELECT action FROM audit_logs WHERE tenant_id = $1 AND entity_id = $2', [tenant.id, body.id])).toEqual([
    { action: 'TECHNICIAN_CREATE' },
  ]);
  const again = await owner.post('/api/admin/technicians').send({ name: 'Other', initials: 'RF' });
  expect([again.status, again.body.error.code]).toEqual([409, 'conflict']);
  expect(await list()).toHaveLength(1);
});

test.each([
  [{ initials: 'AB' }, { name: 'required' }],
  [{ name: ' ', initials: 'AB' }, { name: 'required' }],
  [{ name: 'A', initials: 'ABCDE' }, { initials: 'must_be_1_to_4_letters' }],
  [{ name: 'A', initials: 'A1' }, { initials: 'must_be_1_to_4_letters' }],
])('%j › 400', async (body, details) => {
  const response = await owner.post('/api/admin/technicians').send(body);
  expect([response.status, response.body.error.code]).toEqual([400, 'validation_failed']);
  expect(Object.keys(response.body.error.details)).toEqual(Object.keys(details));
});

test('a deactivated technician › keeps his appointments, frees his initials, gets no new work', async () => {
  const technician = await createTechnician({ tenant, columns: { initials: 'TT' } });
  const kept = await createAppointment({ tenant, technician });
  const { status, body } = await owner.patch(`/api/admin/technicians/${technician.id}`).send({ isActive: false });
  expect([status, body.isActive]).toEqual([200, false]);
  expect((await owner.get(`/api/appointments/${kept.id}`)).body.data.appointment.tech_id).toBe(technician.id);
  expect((await owner.patch(`/api/appointments/${kept.id}`).send({ tech_id: technician.id, notes: 'still his' })).status).toBe(200);
  const other = await createAppointment({ tenant });
  expect((await owner.patch(`/api/appointments/${other.id}`).send({ tech_id: technician.id })).status).toBe(400);
  expect((await owner.post('/api/admin/technicians').send({ name: 'Successor', initials: 'TT' })).status).toBe(201);
  const back = await owner.patch(`/api/admin/technicians/${technician.id}`).send({ isActive: true });
  expect(back.status).toBe(409);
});

test('nothing to change, unknown ids › 400, 404', async () => {
  const technician = await createTechnician({ tenant });
  expect((await owner.patch(`/api/admin/technicians/${technician.id}`).send({})).status).toBe(400);
  for (const id of ['7', '00000000-0000-4000-8000-000000000000'])
    expect((await owner.patch(`/api/admin/technicians/${id}`).send({ name: 'x' })).status).toBe(404);
});
