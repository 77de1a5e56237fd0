/**
 * The configuration as people may read it: what each variable is (for `docs/config.md`), and what this process runs with,
 * secrets masked (for the preflight and for support).
 */
import type { z } from 'zod';
import { environmentSchema, isSecret, type Variable } from './env';
import type { Config } from './load';
import { parsePostgresUrl } from './postgres-url';

export interface VariableDescription {
  readonly name: Variable;
  readonly kind: string;
  /** As it would be written in the environment; undefined when there is none. */
  readonly fallback: string | undefined;
  readonly text: string;
  readonly secret: boolean;
}

interface Definition {
  type: string;
  innerType?: z.core.$ZodType;
  in?: z.core.$ZodType;
  defaultValue?: unknown;
  entries?: Record<string, string>;
  format?: string;
}

/** Every variable in the order of the schema. */
export function describeVariables(): VariableDescription[] {
  return Object.entries(environmentSchema.shape).map(([name, schema]) => {
    let kind: string | undefined;
    let fallback: unknown;
    let level: z.core.$ZodType | undefined = schema;
    // A variable is wrapped (optional, default, pipe …); the outermost default and kind count.
    while (level) {
      const definition = level._zod.def as unknown as Definition;
      kind ??= (level as z.ZodType).meta()?.['kind'] as string | undefined;
      if (definition.defaultValue !== undefined) fallback ??= definition.defaultValue;
      if (definition.entries) kind ??= Object.values(definition.entries).join(' \\| ');
      if (definition.format === 'url') kind ??= 'URL';
      if (definition.format === 'guid') kind ??= 'UUID';
      level = definition.innerType ?? definition.in;
    }
    return {
      name: name as Variable,
      kind: kind ?? 'text',
      fallback: fallback === undefined || fallback === '' ? undefined : String(fallback),
      text: (schema as z.ZodType).description ?? '',
      secret: isSecret(name),
    };
  });
}

/** What a secret is shown as: that it is set, never a part of it. */
const MASK = '••••••';

/** One printable line's worth of each variable; secrets are masked, of URLs the password (or all, when it is no URL). */
export function describeConfig(config: Config): Record<string, string> {
  const lines = Object.keys(environmentSchema.shape).map((name) => [name, printable(name, config[name as keyof Config])]);
  return Object.fromEntries(lines.filter(([, value]) => value !== undefined)) as Record<string, string>;
}

function printable(name: string, value: unknown): string | undefined {
  if (value === undefined || value === '') return undefined;
  if (isSecret(name)) return [value].flat().map(maskUrl).join(',');
  if (Array.isArray(value)) return value.join(',') || undefined;
  if (typeof value === 'object') {
    const { limit, windowMs } = value as { limit: number; windowMs: number };
    return `${limit}/${windowMs / 1000}`;
  }
  return String(value);
}

function maskUrl(value: unknown): string {
  const text = String(value);
  if (/^postgres(ql)?:/.test(text)) return maskPostgresUrl(text);
  if (!URL.canParse(text) || !/^(rediss?|smtps?):$/.test(new URL(text).protocol)) return MASK;
  const url = new URL(text);
  if (url.password) url.password = 'x';
  // Query parameters may carry passwords as well.
  url.search = '';
  return url.toString().replace(':x@', `:${MASK}@`);
}

/** Without its parameters, which may carry passwords as well. */
function maskPostgresUrl(text: string): string {
  try {
    const { hosts, user, password, database } = parsePostgresUrl(text.replace(/\?.*$/, ''));
    const login = `${encodeURIComponent(user)}${password ? `:${MASK}` : ''}`;
    const places = hosts.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
    return `postgres://${login ? `${login}@` : ''}${places.join(',')}/${encodeURIComponent(database)}`;
  } catch {
    return MASK; // the fault is named elsewhere; nothing of an unreadable value is shown
  }
}
