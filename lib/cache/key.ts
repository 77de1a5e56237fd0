/**
 * The name of a reply in the cache: everything that the reply depends on, apart from the rows it is made of. Pure. Two questions
 * get one key only when every part is equal: parts are written as JSON, which tells `["a,b"]` from `["a","b"]`, and the tenant
 * stands in front in clear, so that even a collision of hashes could not lead from one tenant to another.
 */
import { createHash } from 'node:crypto';
import { UUID } from '../../schemas/uuid';
import type { Actor, Tenant } from '../context';
import { dayOf, type InstantRange, rangeOfDay } from '../days';

export interface Question {
  /** Endpoint id. */
  endpoint: string;
  params: unknown;
  /** As parsed: two spellings of one query are one question. */
  query: unknown;
  tenant: Tenant;
  actor: Actor;
  /** The endpoint declares that all actors of one role read the same. */
  sharedByRole: boolean;
  now: Date;
  /** Of the service: another one may build another reply from the same rows. */
  version: string;
}

/** @throws Error for a tenant that is none: better no reply than one under a key that others share */
export function cacheKey(question: Question): string {
  const tenantId = question.tenant.id;
  if (!UUID.test(tenantId)) throw new Error('A cached reply needs the id of a tenant');
  return `${tenantId.toLowerCase()}:${question.endpoint}:${createHash('sha256').update(factsOf(question)).digest('base64url')}`;
}

/** The unhashed part, unambiguous. The day is the shop's: "today" in a reply is another one tomorrow. */
export function factsOf({ endpoint, params, query, tenant, actor, sharedByRole, now, version }: Question): string {
  // A customer's reply is its own, whatever an endpoint declares.
  const isShared = sharedByRole && actor.role !== 'Customer';
  return JSON.stringify([
    version,
    endpoint,
    tenant.id.toLowerCase(),
    tenant.timeZone,
    tenant.name,
    today(now, tenant.timeZone),
    actor.role,
    isShared ? null : [actor.kind, actor.id],
    canonical(params),
    canonical(query),
  ]);
}

const days = new Map<string, InstantRange & { day: string }>();

/** The calendar is asked once a day for each zone, not for each request. */
function today(now: Date, timeZone: string): string {
  const known = days.get(timeZone);
  if (known && now >= known.from && now < known.to) return known.day;
  const day = dayOf(now, timeZone);
  days.set(timeZone, { day, ...rangeOfDay(day, timeZone) });
  return day;
}

/** The same value whatever the order of its keys; dates and undefined told apart from text and absence. */
function canonical(value: unknown): unknown {
  if (value instanceof Date) return { $date: value.getTime() };
  if (Array.isArray(value)) return value.map(canonical);
  if (value === undefined || typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value)))
    return { [`$${typeof value}`]: String(value) };
  if (value === null || typeof value !== 'object') return value;
  const pairs = Object.entries(value).filter(([, part]) => part !== undefined);
  return { $object: pairs.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, part]) => [name, canonical(part)]) };
}
