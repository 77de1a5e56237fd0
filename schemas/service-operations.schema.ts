/** Shapes and words of the service catalogue. */
import { z } from 'zod';
import { queryText } from './fields.schema';

/** Categories of the imported catalogue and those that the service screen adds. */
export const CATEGORIES = [
  'MAINTENANCE',
  'ENGINE_DIAGNOSTICS',
  'TRANSMISSION_DRIVETRAIN',
  'BRAKES',
  'ELECTRICAL_BATTERY',
  'TIRES_STEERING_SUSPENSION',
  'COOLING_SYSTEM',
  'ADAS',
  'INSPECTION_SAFETY',
  'HVAC',
  'ENGINE',
  'ELECTRICAL',
  'BODY_PAINT',
  'INSPECTION',
  'OTHER',
] as const;

/** Filter words that stand for more than their own name. */
export const CATEGORY_ALIASES: Readonly<Record<string, readonly string[]>> = {
  ENGINE: ['ENGINE', 'ENGINE_DIAGNOSTICS'],
  ELECTRICAL: ['ELECTRICAL', 'ELECTRICAL_BATTERY'],
  INSPECTION: ['INSPECTION', 'INSPECTION_SAFETY'],
};

/** What the filter `OTHER` leaves out: everything that has a filter of its own. */
export const FILTERED_CATEGORIES = [
  'MAINTENANCE',
  'BRAKES',
  'TRANSMISSION_DRIVETRAIN',
  'TIRES_STEERING_SUSPENSION',
  'HVAC',
  'BODY_PAINT',
  ...Object.values(CATEGORY_ALIASES).flat(),
];

/** The hyphens of Unicode (U+2010 to U+2015, the minus sign) as the one on the keyboard. */
export const foldHyphens = (text: string): string => text.replace(/[\u2010-\u2015\u2212]/g, '-');

/** What the catalogue search looks at. */
export const searchText = (row: { name: string; internalCode: string; category: string; keywords: readonly string[] }): string =>
  foldHyphens([row.name, row.internalCode, row.category, ...row.keywords].join(' ').toLowerCase());

export const ListServiceOperations = z.object({
  q: queryText(),
  category: queryText(100),
  sort: queryText(),
  dir: queryText(),
  limit: queryText(),
  legacy: queryText(),
});
export type ListServiceOperations = z.output<typeof ListServiceOperations>;

const Text = z.string().nullable();
const Figure = z.number().nullable();

const PublicOperation = z.object({
  id: z.string(),
  name: z.string(),
  category: z.string(),
  subcategory: Text,
  default_hours: Figure,
  default_price: Figure,
  base_labor_rate: Figure,
  keywords: z.array(z.string()),
  is_active: z.boolean(),
  display_order: z.int().nullable(),
  is_package: z.boolean(),
});

const StaffOperation = PublicOperation.extend({
  internal_code: z.string(),
  skill_level: z.int().nullable(),
  flags: z.array(z.string()),
  package_items: z.array(z.object({ child_id: z.string(), quantity: z.int() })),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
}).meta({ id: 'ServiceOperation' });

const Operations = z.union([z.array(StaffOperation), z.array(PublicOperation.strict().meta({ id: 'PublicServiceOperation' }))]);
/** With `legacy` the list is a key of an object. */
export const ServiceOperationList = z.union([Operations, z.object({ service_operations: Operations })]);
