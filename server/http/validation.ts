/**
 * Input of a request against an endpoint's schemas. Refused input is a 400 `validation_failed` whose `details` hold one
 * reason for each field path; a path parameter that cannot name a row is a 404, because no such row exists.
 */
import type { ZodError, z } from 'zod';
import { type AppError, type ErrorDetails, NotFound, ValidationFailed } from '../../lib/errors';
import type { Endpoint } from '../../routes/endpoint';

export type Part = 'params' | 'query' | 'body';

/** Short words for zod's findings, where the schema does not give its own. */
function reasonOf(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'required' : `must_be_${issue.expected}`;
    case 'too_small':
      return isText(issue.origin) ? (issue.minimum === 1 ? 'required' : 'too_short') : 'too_small';
    case 'too_big':
      return isText(issue.origin) ? 'too_long' : issue.origin === 'array' ? 'too_many' : 'too_big';
    case 'unrecognized_keys':
      return 'unknown';
    default:
      return 'invalid';
  }
}
const isText = (origin: string): boolean => origin === 'string';

/** Field path -> reason, the first reason of each field. An input that is no object at all is named by its part. */
export function fieldReasons(error: ZodError, part: Part = 'body'): ErrorDetails {
  const details: Record<string, string> = {};
  for (const issue of error.issues) {
    const path = pathOf(issue.path);
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) details[path ? `${path}.${key}` : key] ??= 'unknown';
    else details[path || part] ??= issue.message;
  }
  return details;
}

/** `tags[3].name`, as a client would write it. */
const pathOf = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${String(key)}` : String(key)), '');

const perParse = { error: reasonOf };

/**
 * @returns what the schema makes of `value`
 * @throws the endpoint's own refusal, else NotFound for params and ValidationFailed for query and body
 */
export function validate(endpoint: Pick<Endpoint, 'invalid'>, schema: z.ZodType, value: unknown, part: Part): unknown {
  const result = schema.safeParse(value, perParse);
  if (result.success) return result.data;
  const refusal: AppError | undefined = endpoint.invalid?.(result.error, part);
  if (refusal) throw refusal;
  if (part === 'params') throw new NotFound();
  throw new ValidationFailed(fieldReasons(result.error, part));
}

const NUL = '\0';

/** PostgreSQL stores no NUL character in text; refused here, it is the client's 400 and not our 500. */
export function refuseNul(value: unknown, path: readonly PropertyKey[] = [], depth = 0): void {
  if (typeof value === 'string') {
    if (value.includes(NUL)) throw new ValidationFailed({ [pathOf(path) || 'body']: 'invalid' });
  } else if (value !== null && typeof value === 'object' && depth < 64) {
    for (const [key, item] of Object.entries(value)) {
      refuseNul(key, [...path, key], depth + 1);
      refuseNul(item, [...path, Array.isArray(value) ? Number(key) : key], depth + 1);
    }
  }
}
