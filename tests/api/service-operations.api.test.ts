import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Context, newWorkStats, withContext } from '../../lib/context';
import { PROJECT_ROOT } from '../../lib/project-root';
import { type ImportResult, importCatalog } from '../../services/catalog-import.service';
import { admin } from '../support/database';
import { createStaff, createTenant, type Tenant } from '../support/factories';
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
    expect(await admin(`SELECT action FROM audit_logs WHERE tenant_id = $1`, [shop.id])).toEqual([{ action: 'IMPORT' }]);
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
