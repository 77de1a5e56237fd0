/** Shapes and words of the service catalogue. */
import { z } from 'zod';
import { centsOf, clearableText, Dollars, optionalText, queryText } from './fields.schema';

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
export const ServiceOperationReply = StaffOperation;
export type ServiceOperationReply = z.infer<typeof ServiceOperationReply>;

/** With `legacy` the list is a key of an object. */
export const ServiceOperationList = z.union([Operations, z.object({ service_operations: Operations })]);

// ------------------------------------------------------------------ writing

const MAX_HOURS = 999.99;
const MAX_WORDS = 100;
const INT4 = 2_147_483_647;

/** A number, or digits as forms send them. */
const number = z.union(
  [
    z.number(),
    z
      .string()
      .trim()
      .regex(/^-?\d+(\.\d+)?$/)
      .transform(Number),
  ],
  'must_be_a_number',
);
const hours = number.pipe(z.number().min(0, 'must_not_be_negative').max(MAX_HOURS, 'too_large')).transform((value) => centsOf(value) / 100);
const words = z
  .array(z.string().trim().min(1, 'required').max(MAX_WORDS, 'too_long').transform(foldHyphens), 'must_be_a_list')
  .max(MAX_WORDS, 'too_many');
/** null says nothing, as absence does. */
const text = (max: number) =>
  z
    .string({ error: (issue) => ((issue.input ?? null) === null ? 'required' : undefined) })
    .trim()
    .min(1, 'required')
    .max(max, 'too_long');

const PackageChildren = z
  .array(z.object({ child_id: text(100), quantity: z.int('must_be_a_whole_number').min(1, 'too_small').max(1000, 'too_large').default(1) }))
  .max(MAX_WORDS, 'too_many')
  .refine((items) => new Set(items.map(({ child_id }) => child_id)).size === items.length, 'duplicate');

const price = number.pipe(Dollars).nullable();
const fields = {
  name: text(200).transform(foldHyphens),
  category: text(100),
  internal_code: text(100),
  subcategory: optionalText(100),
  skill_level: z.int('must_be_1_to_5').min(1, 'must_be_1_to_5').max(5, 'must_be_1_to_5').nullable(),
  default_hours: hours.nullable(),
  /** In dollars, as is `base_labor_rate`, another name for the same; `default_price` wins. */
  default_price: price,
  base_labor_rate: price,
  keywords: words,
  flags: words,
  display_order: z.int('must_be_a_whole_number').min(-INT4, 'too_small').max(INT4, 'too_large').nullable(),
  is_active: z.boolean('must_be_boolean'),
  /** What a package holds; operations, never packages. */
  package_items: PackageChildren,
};

const { name, category, ...others } = fields;
export const CreateServiceOperation = z
  .object({
    name,
    category,
    /** Default: made of the name. */
    id: text(100).optional(),
    ...z.object(others).partial().shape,
    /** Default: whether `package_items` are given. */
    is_package: z.boolean('must_be_boolean').optional(),
  })
  .meta({ id: 'CreateServiceOperation' });
export type CreateServiceOperation = z.output<typeof CreateServiceOperation>;

/** Absent keeps, null clears. */
export const UpdateServiceOperation = z
  .object({ ...fields, subcategory: clearableText(100) })
  .partial()
  .meta({ id: 'UpdateServiceOperation' });
export type UpdateServiceOperation = z.output<typeof UpdateServiceOperation>;

/** A text id; the empty one and one with a NUL name no row. */
export const ByOperationId = z.object({ id: z.string().regex(/^[^\0]+$/) });

export const OperationDeleted = z.object({ message: z.string(), id: z.string() });

// ------------------------------------------------------------------ packages

export const ListServicePackages = z.object({ q: queryText(), category: queryText(100), limit: queryText() });
export type ListServicePackages = z.output<typeof ListServicePackages>;

export const ServicePackageList = z.array(
  z
    .object({
      id: z.string(),
      name: z.string(),
      category: z.string(),
      /** In dollars. */
      price_preview: z.object({ sum_child_base_labor_rate: z.number() }),
      package_items: z.array(
        z.object({ child_id: z.string(), name: z.string(), qty: z.int(), base_labor_rate: Figure, default_hours: Figure }),
      ),
    })
    .meta({ id: 'ServicePackage' }),
);

/** An id made of a name: no punctuation, blanks as `_`, lower case, at most 50 characters. Empty when nothing remains. */
export const operationIdOf = (given: string): string =>
  given
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_\s]/gu, '')
    .trim()
    .replace(/\s+/g, '_')
    .slice(0, 50);
