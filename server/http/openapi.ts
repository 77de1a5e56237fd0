/**
 * The OpenAPI 3.1 document, made from the list of endpoints: what is served is what is described. Schemas are those that
 * check the input; a schema with an id becomes a component.
 */
import { z } from 'zod';
import { config } from '../../config';
import { endpoints as allEndpoints } from '../../routes';
import type { Endpoint } from '../../routes/endpoint';
import { ErrorBody } from '../../schemas/common.schema';
import { exampleFor } from './openapi-examples';

type Json = Record<string, unknown>;

const ERRORS: Readonly<Record<number, string>> = {
  400: 'The request is malformed or its fields are refused',
  401: 'Credentials are missing, expired or wrong',
  403: 'Known, and not allowed',
  404: 'Absent in this tenant',
  405: 'The path does not know this verb',
  409: 'A row or a state stands in the way',
  412: 'If-Match names another version',
  413: 'The body is too large',
  415: 'The body has another type than JSON',
  422: 'The idempotency key was used for another request',
  423: 'The account is locked for a while',
  429: 'Rate limit exceeded; see Retry-After',
  500: 'A defect of the service, or with code outcome_unknown: the database did not say whether the change was stored',
  503: 'Temporarily unavailable; see Retry-After',
};

const HEADER_PARAMETERS = {
  TenantId: {
    name: 'X-Tenant-Id',
    in: 'header',
    description: 'Id or slug of the tenant; default the one of the session',
    schema: { type: 'string' },
  },
  CsrfToken: {
    name: 'X-CSRF-Token',
    in: 'header',
    description: 'Value of the XSRF-TOKEN cookie; needed when the session comes by cookie',
    schema: { type: 'string' },
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'Makes a repetition of the request answer as the first one did, for 24 hours',
    schema: { type: 'string', maxLength: 200 },
  },
  IfMatch: { name: 'If-Match', in: 'header', description: 'Write only when the row still has this version', schema: { type: 'string' } },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'Answer 304 when the representation still has this tag',
    schema: { type: 'string' },
  },
} as const;

const PROBES: readonly (readonly [path: string, id: string, summary: string, type: string])[] = [
  ['/health', 'getHealth', 'Liveness, with the last known state of the database', 'application/json'],
  ['/health/live', 'getLiveness', 'Liveness alone', 'application/json'],
  ['/healthz', 'getLivenessAlias', 'Liveness alone', 'application/json'],
  ['/api/health', 'getServiceHealth', 'Service health for clients', 'application/json'],
  ['/ready', 'getReadiness', 'Whether traffic should come here', 'application/json'],
  ['/readyz', 'getReadinessAlias', 'Whether traffic should come here', 'application/json'],
  ['/version', 'getVersion', 'Version of the service', 'application/json'],
  ['/api/openapi.json', 'getOpenApi', 'This document', 'application/json'],
  ['/api/docs', 'getDocumentation', 'This document for people', 'text/html'],
];

const CACHE_HEADER = {
  description:
    'Whether the reply was kept from before (`hit`; `stale`: and is being computed anew) or computed now; absent where nothing is cached',
  schema: { type: 'string', enum: ['hit', 'stale', 'miss'] },
} as const;

/** The document as plain data. Pure: the same list gives the same document. */
export function buildOpenApi(endpoints: readonly Endpoint[] = allEndpoints): Json {
  const steps = openApiSteps(endpoints);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same in small steps, so that a worker can build it between requests: all at once takes tenths of a second. */
export function* openApiSteps(endpoints: readonly Endpoint[]): Generator<undefined, Json> {
  const components = new Components();
  const paths: Record<string, Json> = {};
  const add = (path: string, method: string, operation: Json): void => {
    const key = path.replace(/:([A-Za-z_]\w*)/g, '{$1}');
    paths[key] = { ...paths[key], [method]: operation };
  };
  for (const [path, operationId, summary, type] of PROBES) {
    const responses = { 200: { description: 'The answer', content: { [type]: { schema: {} } } }, 503: { description: ERRORS[503] } };
    add(path, 'get', { operationId, summary, tags: ['Operations'], security: [], responses });
  }
  components.add(ErrorBody);
  for (const endpoint of endpoints) {
    yield;
    add(endpoint.path, endpoint.method, operationOf(endpoint, components));
    endpoint.aliases?.forEach((alias, index) => {
      const operation = operationOf(endpoint, components);
      add(alias, endpoint.method, {
        ...operation,
        operationId: `${endpoint.id}Alias${index + 1}`,
        description: `Same as ${endpoint.path}.`,
      });
    });
  }
  const tags = [...new Set(['Operations', ...endpoints.map(({ tag }) => tag)])];
  return {
    openapi: '3.1.0',
    info: {
      title: 'Auto shop API',
      version: config.APP_VERSION,
      description:
        'Every JSON answer is an envelope: `data` on success, `error` with a stable `code` on failure, and one id of the request in both.',
    },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: components.schemas,
      parameters: HEADER_PARAMETERS,
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        cookie: { type: 'apiKey', in: 'cookie', name: '__Host_access_token', description: 'Writes also need X-CSRF-Token.' },
      },
    },
  };
}

function operationOf(endpoint: Endpoint, components: Components): Json {
  const { id, summary, tag, allow, body, method } = endpoint;
  const sessions = [{ bearer: [] }, { cookie: [] }];
  return {
    operationId: id,
    summary,
    tags: [tag],
    ...(typeof allow === 'string' ? {} : { description: `Roles: ${allow.join(', ')}.`, 'x-roles': allow }),
    security: allow === 'public' ? [{}, ...sessions] : sessions,
    parameters: parametersOf(endpoint, components),
    ...(body && method !== 'get'
      ? { requestBody: { required: !accepts(body, {}), content: contentOf(endpoint, components.add(body)) } }
      : {}),
    responses: responsesOf(endpoint, components),
  };
}

const contentOf = ({ formBody }: Endpoint, schema: unknown): Json => ({
  ...(formBody ? { 'application/x-www-form-urlencoded': { schema } } : {}),
  'application/json': { schema },
});

/** A body that may be left out is read as an empty object. */
const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

function parametersOf({ path, params, query, method, idempotent, revalidate, csrf, errors }: Endpoint, components: Components): Json[] {
  const parameters: Json[] = [];
  const declared = properties(params, components);
  for (const [, name = ''] of path.matchAll(/:([A-Za-z_]\w*)/g)) {
    const schema = declared.get(name)?.schema ?? { type: 'string' };
    parameters.push({ name, in: 'path', required: true, schema, example: exampleFor(name, schema) });
  }
  for (const [name, { schema, required }] of properties(query, components)) {
    parameters.push({ name, in: 'query', required, schema, example: exampleFor(name, schema) });
  }
  const header = (name: keyof typeof HEADER_PARAMETERS) => parameters.push({ $ref: `#/components/parameters/${name}` });
  header('TenantId');
  if (method !== 'get' && csrf !== 'exempt') header('CsrfToken');
  if (idempotent) header('IdempotencyKey');
  if (method !== 'get' && errors?.includes(412)) header('IfMatch');
  if (method === 'get' && revalidate) header('IfNoneMatch');
  return parameters;
}

function properties(schema: z.ZodType | undefined, components: Components): Map<string, { schema: Json; required: boolean }> {
  if (!schema) return new Map();
  const { properties: all = {}, required = [] } = components.inline(schema) as { properties?: Record<string, Json>; required?: string[] };
  return new Map(Object.entries(all).map(([name, property]) => [name, { schema: property, required: required.includes(name) }]));
}

function responsesOf(endpoint: Endpoint, components: Components): Json {
  const { reply, media, revalidate, cache, method, errors = [], allow, body, params, query, tenant } = endpoint;
  const [status, schema] = reply;
  const responses: Json = {
    [status]: {
      description: 'Success',
      ...(cache ? { headers: { 'X-Cache': CACHE_HEADER } } : {}),
      ...(schema ? { content: { 'application/json': { schema: envelopeOf(endpoint, components.add(schema)) } } } : {}),
      ...(media ? { content: Object.fromEntries(media.map((type) => [type, { schema: fileOf(type) }])) } : {}),
    },
  };
  if (revalidate && method === 'get') responses['304'] = { description: 'The representation has not changed' };
  const statuses = new Set<number>([...errors, 429, 500, 503]);
  if (allow !== 'public') statuses.add(401);
  if (allow !== 'public' || tenant !== 'optional' || (method !== 'get' && endpoint.csrf !== 'exempt')) statuses.add(403);
  if (body || query || tenant !== 'optional') statuses.add(400);
  if (params) statuses.add(404);
  if (body) for (const refusal of [413, 415]) statuses.add(refusal);
  if (endpoint.idempotent) for (const refusal of [409, 422]) statuses.add(refusal);
  for (const code of [...statuses].sort((a, b) => a - b)) {
    responses[String(code)] = {
      description: ERRORS[code] ?? 'Refused',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
    };
  }
  return responses;
}

/** A file as a schema: rows where it is JSON, else text or bytes. */
const fileOf = (type: string): Json =>
  type === 'application/json'
    ? { type: 'array', items: { type: 'object' } }
    : { type: 'string', ...(type.startsWith('text/') ? {} : { contentMediaType: type }) };

function envelopeOf({ mirror }: Endpoint, data: Json): Json {
  const envelope = {
    type: 'object',
    required: ['ok', 'data', 'error', 'correlation_id', 'meta'],
    properties: {
      ok: { const: true },
      data,
      error: { type: 'null' },
      correlation_id: { type: 'string', format: 'uuid' },
      meta: { type: 'object', required: ['request_id'], properties: { request_id: { type: 'string', format: 'uuid' } } },
    },
  };
  if (mirror === undefined) return envelope;
  const which = mirror === 'all' ? 'All keys' : `The keys ${mirror.map((key) => `\`${key}\``).join(', ')}`;
  return { ...envelope, description: `${which} of \`data\` are repeated at the root.` };
}

/** Patterns that only spell out a format, and the bounds of a safe integer, tell a reader nothing. */
function quieten({ jsonSchema }: { jsonSchema: Json }): void {
  if ('format' in jsonSchema) delete jsonSchema['pattern'];
  if (jsonSchema['maximum'] === Number.MAX_SAFE_INTEGER) delete jsonSchema['maximum'];
  if (jsonSchema['minimum'] === Number.MIN_SAFE_INTEGER) delete jsonSchema['minimum'];
}

/** Collects schemas with an id, and turns references to them into references to components. */
class Components {
  readonly schemas: Record<string, Json> = {};

  /** The schema for use in the document: a reference when it has an id. */
  add(schema: z.ZodType): Json {
    return this.#hoist(schema);
  }

  /** The schema written out, also when it has an id. */
  inline(schema: z.ZodType): Json {
    const hoisted = this.#hoist(schema);
    const reference = hoisted['$ref'];
    return typeof reference === 'string' ? (this.schemas[reference.split('/').at(-1) ?? ''] ?? {}) : hoisted;
  }

  #hoist(schema: z.ZodType): Json {
    const { $schema, $defs, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: quieten as never }) as Json;
    for (const [id, definition] of Object.entries(($defs as Record<string, Json> | undefined) ?? {})) {
      const found = rewrite(definition) as Json;
      const known = this.schemas[id];
      if (known && JSON.stringify(known) !== JSON.stringify(found)) throw new Error(`Two different schemas have the id ${id}`);
      this.schemas[id] = found;
    }
    const own = rewrite(rest) as Json;
    const id = schema.meta()?.id;
    if (!id) return own;
    if (!('$ref' in own)) this.schemas[id] = own;
    return { $ref: `#/components/schemas/${id}` };
  }
}

/** `#/$defs/X` -> `#/components/schemas/X`, everywhere; `id` beside a schema's keywords is zod's note to itself. */
function rewrite(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rewrite);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) =>
      key === '$ref' && typeof item === 'string' ? [key, item.replace('#/$defs/', '#/components/schemas/')] : [key, rewrite(item)],
    ),
  );
}
