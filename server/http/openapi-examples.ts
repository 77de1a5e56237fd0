/** Example values of parameters, so that the documentation shows a request one can send. */
const BY_FORMAT: Readonly<Record<string, unknown>> = {
  date: '2026-03-14',
  'date-time': '2026-03-14T16:00:00.000Z',
  uuid: '5d0c7a52-3f0e-4a55-8f5e-2f3d1c9b7a10',
  email: 'ann@example.com',
};
const BY_NAME: Readonly<Record<string, unknown>> = {
  id: '12',
  q: 'honda',
  page: '1',
  page_size: '25',
  limit: '25',
  from: '2026-03-01',
  to: '2026-03-31',
  date: '2026-03-14',
};

/** A value that fits the schema of the parameter; undefined when nothing sensible is known. */
export function exampleFor(name: string, schema: Readonly<Record<string, unknown>>): unknown {
  const { example, enum: values, format, type, default: fallback } = schema;
  if (example !== undefined) return example;
  if (fallback !== undefined) return fallback;
  if (Array.isArray(values)) return values[0];
  if (typeof format === 'string' && format in BY_FORMAT) return BY_FORMAT[format];
  if (type === 'integer' || type === 'number') return 1;
  if (type === 'boolean') return true;
  return BY_NAME[name] ?? (name.endsWith('_id') || name.endsWith('Id') ? '12' : undefined);
}
