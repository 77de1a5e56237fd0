import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, newWorkStats, withContext } from '../../lib/context';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type ImportResult, importCatalog } from '../../services/catalog-import.service';
import { admin } from '../support/database';
import { addAppointmentService, createAppointment, createStaff, createTenant, type StaffRole, type Tenant } from '../support/factories';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const CSV = readFileSync(join(PROJECT_ROOT, 'models/seeds/service-catalog.csv'), 'utf8');
let app: TestApp;
let tenant: Tenant;
let advisor: Agent;

const importInto = (shop: Tenant, csv: string): Promise<ImportResult> => {
  const context: Context = {
    requestId: 'import',
    operation: 'import',
    actor: { kind: 'system', id: 'import', role: null },
    tenant: shop,
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  };
  return withContext(context, () => importCatalog(csv));
};

beforeAll(async () => {
  app = await startApp();
  tenant = await createTenant();
  advisor = await actAs(app, await createStaff({ tenant, role: 'Advisor' }));
  await importInto(tenant, CSV);
});

const codes = async (query: string): Promise<string[]> => {
  const { status, body } = await advisor.get(`/api/admin/service-operations${query}`);
  expect(status).toBe(200);
  return body.data.map(({ internal_code }: { internal_code: string }) => internal_code);
};
const categories = async (category: string): Promise<string[]> => {
  const { body } = await advisor.get('/api/admin/service-operations').query({ category });
  return [...new Set<string>(body.data.map((item: { category: string }) => item.category))].sort();
};

describe('import', () => {
  test('twice › 50 rows, the second time nothing is written', async () => {
    const shop = await createTenant();
    expect(await importInto(shop, CSV)).toEqual({ rows: 50, inserted: 50, updated: 0 });
    expect(await importInto(shop, CSV)).toEqual({ rows: 50, inserted: 0, updated: 0 });
    expect(await admin('SELECT count(*), max(version) AS version FROM service_operations WHERE tenant_id = $1', [shop.id])).toEqual([
      { count: '50', version: 1 },
    ]);
    expect(await admin(`SELECT action FROM audit_logs WHERE tenant_id = $1`, [shop.id])).toEqual([{ action: 'CATALOG_IMPORT' }]);
  });

  test('a changed price › that row alone is updated', async () => {
    const shop = await createTenant();
    await importInto(shop, CSV);
    const changed = CSV.replace('Full Synthetic Oil Change,12000', 'Full Synthetic Oil Change,12500');
    expect(await importInto(shop, changed)).toEqual({ rows: 50, inserted: 0, updated: 1 });
    expect(
      await admin(`SELECT default_price_cents, version FROM service_operations WHERE tenant_id = $1 AND id = 'OIL_SYNTH'`, [shop.id]),
    ).toEqual([{ default_price_cents: '12500', version: 2 }]);
  });

  test('one bad row › nothing at all is stored', async () => {
    const shop = await createTenant();
    await expect(importInto(shop, `${CSV}BAD,BRAKES,Pads,-1,1,1,,true\n`)).rejects.toThrow('Catalogue file refused');
    expect(await admin('SELECT 1 FROM service_operations WHERE tenant_id = $1', [shop.id])).toEqual([]);
  });
});

describe('GET /api/admin/service-operations', () => {
  test('an item › all its fields, numbers as numbers; list also under service_operations; total in the header', async () => {
    const { body, headers } = await advisor.get('/api/admin/service-operations');
    expect([body.data.length, headers['x-total-results'], headers['cache-control']]).toEqual([50, '50', 'private, no-cache']);
    expect(body.service_operations).toEqual(body.data);
    expect(body.data.find(({ id }: { id: string }) => id === 'OIL_HIGH_MILE')).toEqual({
      id: 'OIL_HIGH_MILE',
      internal_code: 'OIL_HIGH_MILE',
      name: 'High-Mileage Oil Change',
      category: 'MAINTENANCE',
      subcategory: null,
      skill_level: 1,
      default_hours: 0.5,
      default_price: 130,
      base_labor_rate: 130,
      keywords: ['oil', 'high-mileage', 'seal'],
      flags: [],
      is_active: true,
      display_order: 30,
      is_package: false,
      package_items: [],
      created_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    });
  });

  test.each(['high-mileage', 'high\u2011mileage', 'HIGH-MILE', 'oil_high', 'seal'])(
    'q=%s › finds the high-mileage oil change',
    async (q) => {
      expect(await codes(`?q=${encodeURIComponent(q)}`)).toContain('OIL_HIGH_MILE');
    },
  );

  test('q › no-start is found, wildcards are text, one character is ignored', async () => {
    expect((await codes('?q=no-start')).length).toBeGreaterThan(0);
    expect(await codes('?q=%25%25')).toEqual([]);
    expect(await codes('?q=x')).toHaveLength(50);
  });

  test('category › exact, aliases, and OTHER for all without a filter of their own', async () => {
    expect(await categories('BRAKES')).toEqual(['BRAKES']);
    expect(await categories('ENGINE')).toEqual(['ENGINE_DIAGNOSTICS']);
    expect(await categories('ELECTRICAL')).toEqual(['ELECTRICAL_BATTERY']);
    expect(await categories('INSPECTION')).toEqual(['INSPECTION_SAFETY']);
    expect(await categories('OTHER')).toEqual(['ADAS', 'COOLING_SYSTEM']);
    expect(await categories('NOTHING')).toEqual([]);
  });

  test('sort and limit › by name both ways; limits cut, the total does not', async () => {
    const { body, headers } = await advisor.get('/api/admin/service-operations?sort=name&dir=desc&limit=5');
    const names: string[] = body.data.map(({ name }: { name: string }) => name);
    expect([names.length, headers['x-total-results']]).toEqual([5, '50']);
    expect(names).toEqual([...names].sort().reverse());
    expect(await codes('?limit=9999')).toHaveLength(50);
  });

  test.each([
    ['sort=price', 'Invalid sort column'],
    ['dir=up', 'Invalid sort direction'],
    ['limit=0', "Invalid 'limit' parameter"],
    ['limit=ten', "Invalid 'limit' parameter"],
  ])('%s › 400 bad_request', async (query, message) => {
    const { status, body } = await advisor.get(`/api/admin/service-operations?${query}`);
    expect([status, body.error.code, body.error.message]).toEqual([400, 'bad_request', message]);
  });

  test('legacy=1 › the list as a key', async () => {
    const { body } = await advisor.get('/api/admin/service-operations?legacy=1&limit=3');
    expect(body.data.service_operations).toHaveLength(3);
    expect(body.service_operations).toEqual(body.data.service_operations);
  });

  test('the same list again › 304; after a price change › 200', async () => {
    const first = await advisor.get('/api/admin/service-operations?category=ADAS');
    const again = () => advisor.get('/api/admin/service-operations?category=ADAS').set('If-None-Match', first.headers['etag'] as string);
    expect((await again()).status).toBe(304);
    await admin(`UPDATE service_operations SET default_price_cents = default_price_cents + 1 WHERE tenant_id = $1 AND category = 'ADAS'`, [
      tenant.id,
    ]);
    expect((await again()).status).toBe(200);
  });

  test('a package › lists its children', async () => {
    await admin(
      `INSERT INTO service_operations (tenant_id, id, internal_code, name, category, is_package) VALUES ($1, 'PKG', 'PKG', 'Bundle', 'OTHER', true)`,
      [tenant.id],
    );
    await admin(`INSERT INTO package_items (tenant_id, service_id, child_id, qty) VALUES ($1, 'PKG', 'OIL_SYNTH', 2)`, [tenant.id]);
    const { body } = await advisor.get('/api/admin/service-operations?q=PKG');
    expect(body.data).toEqual([]);
    const all = await advisor.get('/api/admin/service-operations');
    expect(all.body.data.find(({ id }: { id: string }) => id === 'PKG')).toMatchObject({
      is_package: true,
      package_items: [{ child_id: 'OIL_SYNTH', quantity: 2 }],
    });
  });
});

describe('writing', () => {
  let shop: Tenant;
  let owner: Agent;
  const path = '/api/admin/service-operations';
  const audits = (entityId: string) =>
    admin<{ action: string; before: unknown; after: unknown }>(
      `SELECT action, before, after FROM audit_logs WHERE tenant_id = $1 AND entity = 'service_operation' AND entity_id = $2 ORDER BY created_at`,
      [shop.id, entityId],
    );
  const names = async () => (await owner.get(path)).body.data.map(({ name }: { name: string }) => name);

  beforeAll(async () => {
    shop = await createTenant();
    owner = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
  });

  test('POST › name and category alone › 201 with everything derived, found at once, one audit row', async () => {
    const { status, headers, body } = await owner.post(path).send({ name: ' Brake\u2011pad (front): check! ', category: 'BRAKES' });
    expect([status, headers['location']]).toEqual([201, `${path}/brakepad_front_check`]);
    expect(body.data).toMatchObject({
      id: 'brakepad_front_check',
      internal_code: 'brakepad_front_check',
      name: 'Brake-pad (front): check!',
      is_active: true,
      is_package: false,
      default_price: null,
      keywords: [],
      package_items: [],
    });
    expect(body).toMatchObject(body.data);
    expect((await owner.get(path).query({ q: 'brake-pad' })).body.data).toEqual([body.data]);
    expect(await audits('brakepad_front_check')).toMatchObject([{ action: 'CATALOG_CREATE', before: null, after: { category: 'BRAKES' } }]);
  });

  test.each([
    ['default_price', { default_price: 19.995 }, 20],
    ['base_labor_rate', { base_labor_rate: '45.50' }, 45.5],
    ['both', { default_price: 10, base_labor_rate: 99 }, 10],
  ])('POST › price as %s › stored in cents, halves up', async (name, price, expected) => {
    const { body } = await owner.post(path).send({ name: `Price ${name}`, category: 'OTHER', default_hours: '1.5', ...price });
    expect([body.data.default_price, body.data.base_labor_rate, body.data.default_hours]).toEqual([expected, expected, 1.5]);
  });

  test.each([
    ['not an object', [], 'invalid_json', undefined],
    ['no category', { name: 'X' }, 'missing_fields', 'category'],
    ['a blank name', { name: '  ', category: 'HVAC' }, 'missing_fields', 'name'],
    ['a name of null', { name: null, category: 'HVAC' }, 'missing_fields', 'name'],
    ['a name of 201', { name: 'x'.repeat(201), category: 'HVAC' }, 'validation_failed', 'name'],
    ['skill 6', { name: 'X', category: 'HVAC', skill_level: 6 }, 'invalid_skill_level', 'skill_level'],
    ['skill 1.5', { name: 'X', category: 'HVAC', skill_level: 1.5 }, 'invalid_skill_level', 'skill_level'],
    ['a price of words', { name: 'X', category: 'HVAC', default_price: 'cheap' }, 'invalid_numeric', 'default_price'],
    ['a negative rate', { name: 'X', category: 'HVAC', base_labor_rate: -1 }, 'invalid_numeric', 'base_labor_rate'],
    ['1000 hours', { name: 'X', category: 'HVAC', default_hours: 1000 }, 'invalid_numeric', 'default_hours'],
    ['an order beyond int', { name: 'X', category: 'HVAC', display_order: 2 ** 31 }, 'validation_failed', 'display_order'],
    ['keywords as text', { name: 'X', category: 'HVAC', keywords: 'a,b' }, 'validation_failed', 'keywords'],
    ['NUL in a keyword', { name: 'X', category: 'HVAC', keywords: ['a\u0000'] }, 'validation_failed', 'keywords[0]'],
  ])('POST › %s › 400, nothing stored', async (_name, body, code, field) => {
    const before = await names();
    const response = await owner.post(path).send(body);
    expect([response.status, response.body.error.code]).toEqual([400, code]);
    if (field) expect(Object.keys(response.body.error.details)).toContain(field);
    expect(await names()).toEqual(before);
  });

  test('POST › id or internal code taken, also by a deleted one › 409 duplicate_id that says so', async () => {
    const first = { name: 'Taken', category: 'OTHER', id: 'taken', internal_code: 'TAKEN-1' };
    expect((await owner.post(path).send(first)).status).toBe(201);
    const again = await owner.post(path).send({ ...first, internal_code: 'other' });
    expect([again.status, again.body.error.code, again.body.error.details]).toEqual([
      409,
      'duplicate_id',
      { id: 'already_exists', is_active: true },
    ]);
    await owner.delete(`${path}/taken`);
    const code = await owner.post(path).send({ ...first, id: 'another' });
    expect([code.status, code.body.error.code, code.body.message]).toEqual([409, 'duplicate_id', expect.stringContaining('deleted')]);
  });

  test('POST › eight at once with one name › one 201, seven 409', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => owner.post(path).send({ name: 'Race', category: 'OTHER' })));
    expect(all.map(({ status }) => status).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 409)]);
    for (const { status, body } of all) if (status === 409) expect(body.error.code).toBe('duplicate_id');
  });

  test('POST › repeated under its Idempotency-Key › the first answer, one row', async () => {
    const send = () => owner.post(path).set('Idempotency-Key', 'catalogue-1').send({ name: 'Once', category: 'OTHER' });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status, second.headers['x-idempotency-status']]).toEqual([201, 201, 'replayed']);
    expect(second.body.data).toEqual(first.body.data);
  });

  test('PATCH › fields, null clears, absent keeps; search follows; lines keep their price', async () => {
    const { id } = (
      await owner.post(path).send({ name: 'Old name', category: 'OTHER', default_price: 10, skill_level: 2, subcategory: 'Sub' })
    ).body.data;
    const appointment = await createAppointment({ tenant: shop });
    await addAppointmentService(appointment, { operation: { id, tenant: shop, name: 'Old name', code: id, priceCents: 1_000 } });
    const { status, body } = await owner.patch(`${path}/${id}`).send({ name: 'Newest name', default_price: 12.5, skill_level: null });
    expect([status, body.name, body.data.default_price, body.data.skill_level, body.data.subcategory]).toEqual([
      200,
      'Newest name',
      12.5,
      null,
      'Sub',
    ]);
    expect((await owner.get(path).query({ q: 'newest' })).body.data).toEqual([body.data]);
    expect(await admin('SELECT estimated_price_cents AS price_cents FROM appointment_services WHERE tenant_id = $1', [shop.id])).toEqual([
      { price_cents: '1000' },
    ]);
    expect((await audits(id)).at(-1)).toEqual({
      action: 'CATALOG_UPDATE',
      before: { name: 'Old name', default_price_cents: 1000, skill_level: 2 },
      after: { name: 'Newest name', default_price_cents: 1250, skill_level: null },
    });
  });

  test('PATCH › the same again › 200, nothing written', async () => {
    const { id } = (await owner.post(path).send({ name: 'Still', category: 'OTHER', default_hours: 1.25, keywords: ['a'] })).body.data;
    const { status, body } = await owner.patch(`${path}/${id}`).send({ default_hours: '1.25', keywords: ['a'], name: 'Still' });
    expect([status, body.data.updated_at]).toEqual([200, body.data.created_at]);
    expect(await audits(id)).toHaveLength(1);
  });

  test('PATCH › nothing, only unknown fields, an absent id › 400 no_updates, 404', async () => {
    const { id } = (await owner.post(path).send({ name: 'Kept', category: 'OTHER' })).body.data;
    for (const body of [{}, { colour: 'red' }]) expect((await owner.patch(`${path}/${id}`).send(body)).body.error.code).toBe('no_updates');
    const absent = await owner.patch(`${path}/nothing`).send({ name: 'X' });
    expect([absent.status, absent.body.error.code]).toEqual([404, 'not_found']);
    expect((await owner.patch(`${path}/${id}`).send({ name: '' })).body.error.code).toBe('missing_fields');
  });

  test('DELETE › hidden at once, the second time 400 already_deleted; PATCH restores', async () => {
    const { id } = (await owner.post(path).send({ name: 'Going', category: 'OTHER' })).body.data;
    const { status, body } = await owner.delete(`${path}/${id}`);
    expect([status, body.id, body.data]).toEqual([200, id, { message: 'Service deleted', id }]);
    expect(await names()).not.toContain('Going');
    expect((await owner.delete(`${path}/${id}`)).body.error.code).toBe('already_deleted');
    expect((await owner.delete(`${path}/nothing`)).status).toBe(404);
    expect((await audits(id)).map(({ action }) => action)).toEqual(['CATALOG_CREATE', 'CATALOG_DELETE']);
    expect((await owner.patch(`${path}/${id}`).send({ is_active: true })).status).toBe(200);
    expect(await names()).toContain('Going');
  });

  test('an advisor › only where the shop lets advisors; accountant and technician never', async () => {
    const writes = async (settings: object, role: StaffRole) => {
      const other = await createTenant({ settings: { ...settings } });
      const agent = await actAs(app, await createStaff({ tenant: other, role }));
      const { status, body } = await agent.post(path).send({ name: 'Try', category: 'OTHER' });
      const [changed, removed] = [await agent.patch(`${path}/try`).send({ name: 'Tried' }), await agent.delete(`${path}/try`)];
      return [status, changed.status, removed.status, body.message];
    };
    const refused = [403, 403, 403, 'Insufficient permissions. Required role: Owner'];
    expect(await writes({ advisor_can_edit_catalog: true }, 'Advisor')).toEqual([201, 200, 200, undefined]);
    expect(await writes({}, 'Advisor')).toEqual(refused);
    for (const role of ['Accountant', 'Technician'] as const)
      expect(await writes({ advisor_can_edit_catalog: true }, role)).toEqual(refused);
  });
});

describe('packages', () => {
  let shop: Tenant;
  let owner: Agent;
  const path = '/api/admin/service-operations';
  const packages = async (query: object = {}) => (await owner.get('/api/admin/service-packages').query(query)).body;

  beforeAll(async () => {
    shop = await createTenant();
    owner = await actAs(app, await createStaff({ tenant: shop, role: 'Owner' }));
    for (const [id, price] of [
      ['oil', 80],
      ['filter', 20.25],
      ['wash', null],
    ] as const)
      await owner.post(path).send({ id, name: `The ${id}`, category: 'MAINTENANCE', default_price: price, default_hours: 0.5 });
    const { status } = await owner.post(path).send({
      id: 'care',
      name: 'Care',
      category: 'MAINTENANCE',
      default_price: 99,
      package_items: [{ child_id: 'oil' }, { child_id: 'filter', quantity: 2 }, { child_id: 'wash' }],
    });
    expect(status).toBe(201);
  });

  test('GET service-packages › children in order, what they cost one by one; also under the root key', async () => {
    const body = await packages();
    expect(body.data).toEqual([
      {
        id: 'care',
        name: 'Care',
        category: 'MAINTENANCE',
        price_preview: { sum_child_base_labor_rate: 120.5 },
        package_items: [
          { child_id: 'oil', name: 'The oil', qty: 1, base_labor_rate: 80, default_hours: 0.5 },
          { child_id: 'filter', name: 'The filter', qty: 2, base_labor_rate: 20.25, default_hours: 0.5 },
          { child_id: 'wash', name: 'The wash', qty: 1, base_labor_rate: null, default_hours: 0.5 },
        ],
      },
    ]);
    expect(body.service_packages).toEqual(body.data);
    expect((await packages({ q: 'nothing' })).data).toEqual([]);
    expect((await packages({ category: 'HVAC' })).data).toEqual([]);
    expect((await packages({ q: 'care', category: 'MAINTENANCE', limit: '1' })).data).toHaveLength(1);
    expect((await owner.get('/api/admin/service-packages?limit=0')).status).toBe(400);
  });

  test('GET service-packages › the same › 304; a child’s price › 200 again', async () => {
    const first = await owner.get('/api/admin/service-packages');
    const again = () => owner.get('/api/admin/service-packages').set('If-None-Match', first.headers['etag'] as string);
    expect((await again()).status).toBe(304);
    await owner.patch(`${path}/oil`).send({ default_price: 81 });
    expect((await again()).body.data[0].price_preview).toEqual({ sum_child_base_labor_rate: 121.5 });
    await owner.patch(`${path}/oil`).send({ default_price: 80 });
  });

  test('a child in use › cannot be deleted, by DELETE or PATCH: 409 naming the package; without the package it can', async () => {
    for (const attempt of [await owner.delete(`${path}/wash`), await owner.patch(`${path}/wash`).send({ is_active: false })])
      expect([attempt.status, attempt.body.error.code, attempt.body.error.details]).toEqual([409, 'conflict', { packages: ['care'] }]);
    const changed = await owner.patch(`${path}/care`).send({ package_items: [{ child_id: 'filter', quantity: 1 }, { child_id: 'oil' }] });
    expect(changed.body.data.package_items).toEqual([
      { child_id: 'filter', quantity: 1 },
      { child_id: 'oil', quantity: 1 },
    ]);
    expect((await owner.delete(`${path}/wash`)).status).toBe(200);
    const [audit] = await admin<{ before: object; after: object }>(
      `SELECT before, after FROM audit_logs WHERE tenant_id = $1 AND entity_id = 'care' AND action = 'CATALOG_UPDATE'`,
      [shop.id],
    );
    expect([audit?.before, audit?.after]).toMatchObject([
      { package_items: expect.any(Array) },
      { package_items: [{ child_id: 'filter' }, { child_id: 'oil' }] },
    ]);
  });

  test.each([
    ['an absent child', [{ child_id: 'oil' }, { child_id: 'ghost' }], 'package_items[1].child_id'],
    ['a package', [{ child_id: 'care' }], 'package_items[0].child_id'],
    ['a quantity of none', [{ child_id: 'oil', quantity: 0 }], 'package_items[0].quantity'],
    ['the same child twice', [{ child_id: 'oil' }, { child_id: 'oil' }], 'package_items'],
  ])('a package of %s › 400 naming it, nothing stored', async (_name, package_items, field) => {
    const { status, body } = await owner.post(path).send({ id: 'bad', name: 'Bad', category: 'OTHER', package_items });
    expect([status, Object.keys(body.error.details)]).toEqual([400, [field]]);
    expect(await admin(`SELECT id FROM service_operations WHERE tenant_id = $1 AND id = 'bad'`, [shop.id])).toEqual([]);
  });

  test('children for what is no package › 400', async () => {
    const { status, body } = await owner.patch(`${path}/oil`).send({ package_items: [{ child_id: 'filter' }] });
    expect([status, body.error.details]).toEqual([400, { package_items: 'only_for_packages' }]);
  });

  test('a package made while its child is deleted › never an active package with a deleted child', async () => {
    for (let round = 0; round < 5; round += 1) {
      const child = `child-${round}`;
      await owner.post(path).send({ id: child, name: child, category: 'OTHER' });
      const [made, gone] = await Promise.all([
        owner.post(path).send({ id: `pack-${round}`, name: 'Pack', category: 'OTHER', package_items: [{ child_id: child }] }),
        owner.delete(`${path}/${child}`),
      ]);
      expect([
        [201, 409],
        [400, 200],
      ]).toContainEqual([made.status, gone.status]);
    }
  });
});
