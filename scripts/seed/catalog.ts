/** The service catalogue of a seeded shop: the rows of `models/seeds/service-catalog.csv` and two packages made of them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../lib/project-root';
import { searchText } from '../../schemas/service-operations.schema';
import { parseCatalog } from '../../services/catalog-import.service';

const CATALOG_FILE = join(PROJECT_ROOT, 'models', 'seeds', 'service-catalog.csv');
const ORDER_STEP = 10;

export interface OperationRow {
  readonly tenant_id: string;
  readonly id: string;
  readonly internal_code: string;
  readonly name: string;
  readonly category: string;
  readonly keywords: readonly string[];
  readonly default_hours: number;
  readonly default_price_cents: number;
  readonly skill_level: number;
  readonly display_order: number;
  readonly is_active: boolean;
  readonly is_package: boolean;
  readonly search: string;
}

export interface PackageItemRow {
  readonly tenant_id: string;
  readonly service_id: string;
  readonly child_id: string;
  readonly qty: number;
  readonly sort_order: number;
}

/** Code and name of a package, and the operations in it. */
const PACKAGES = [
  {
    code: 'PKG_ROAD_TRIP',
    name: 'Road Trip Package',
    children: ['OIL_SYNTH', 'MULTI_POINT_INSPECTION', 'TIRE_ROTATION', 'WIPER_BLADE_REPLACE'],
  },
  { code: 'PKG_BRAKE_REFRESH', name: 'Brake Refresh Package', children: ['BRAKE_INSPECTION', 'PADS_ROTORS_FRONT', 'BRAKE_FLUID_FLUSH'] },
];

/** Adds what the catalogue search looks at. */
const searchable = (row: Omit<OperationRow, 'search'>): OperationRow => ({
  ...row,
  search: searchText({ ...row, internalCode: row.internal_code }),
});

/** @throws Error when the file lacks an operation that a package names */
export function catalog(tenantId: string): { operations: OperationRow[]; packages: OperationRow[]; packageItems: PackageItemRow[] } {
  const rows = parseCatalog(readFileSync(CATALOG_FILE, 'utf8')).map((row) => ({
    ...row,
    tenant_id: tenantId,
    id: row.internal_code,
    is_package: false,
  }));
  const byCode = new Map(rows.map((row) => [row.internal_code, row]));
  const packageItems: PackageItemRow[] = [];
  const packages = PACKAGES.map(({ code, name, children }, index) => {
    const parts = children.map((child) => {
      const part = byCode.get(child);
      if (!part) throw new Error(`${CATALOG_FILE} has no ${child}, which the package ${code} needs`);
      return part;
    });
    for (const [position, part] of parts.entries())
      packageItems.push({ tenant_id: tenantId, service_id: code, child_id: part.id, qty: 1, sort_order: (position + 1) * ORDER_STEP });
    return searchable({
      tenant_id: tenantId,
      id: code,
      internal_code: code,
      name,
      category: 'MAINTENANCE',
      keywords: ['package', 'bundle'],
      default_hours: Math.round(parts.reduce((sum, part) => sum + part.default_hours, 0) * 100) / 100,
      default_price_cents: parts.reduce((sum, part) => sum + part.default_price_cents, 0),
      skill_level: Math.max(...parts.map((part) => part.skill_level)),
      display_order: 900 + index * ORDER_STEP,
      is_active: true,
      is_package: true,
    });
  });
  return { operations: rows, packages, packageItems };
}
