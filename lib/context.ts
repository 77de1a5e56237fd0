/**
 * Who is asking, for which tenant, under which request id: a frozen value carried by AsyncLocalStorage.
 * This file is the leaf that services and models read. Opening a context belongs to
 * `server/http/` (a request), `jobs/` (a job) and `scripts/` (a command).
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { breadcrumbs, type Crumb, NO_CRUMB } from './breadcrumbs';
import type { Caller } from './caller';
import type { ReadWatch } from './read-watch';

export type StaffRole = 'Owner' | 'Advisor' | 'Accountant' | 'Technician';
export type Role = StaffRole | 'Customer';

/** The caller. `id` is text for all kinds: staff ids are text, a customer's is the number as text. */
export type Actor =
  | { readonly kind: 'staff'; readonly id: string; readonly role: StaffRole; readonly name: string; readonly sessionId: string }
  | {
      readonly kind: 'customer';
      readonly id: string;
      readonly customerId: number;
      readonly role: 'Customer';
      readonly name: string;
      readonly sessionId: string;
    }
  | { readonly kind: 'anonymous'; readonly id: 'anonymous'; readonly role: null }
  | { readonly kind: 'system'; readonly id: string; readonly role: null };

export interface Tenant {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  /** IANA zone in which the tenant's days are cut. */
  readonly timeZone: string;
}

/** What one unit of work cost so far. The only mutable part of a context. */
export interface WorkStats {
  queries: number;
  dbMs: number;
  /** Its mark in the memory that the watchdog reads; whoever asks for its context runs. */
  crumb: Crumb;
  /** Watches for one read after another; only where somebody waits for the work. */
  reads?: ReadWatch;
}

export interface Context {
  readonly requestId: string;
  /** Endpoint id or job name: the bounded label of logs and metrics. */
  readonly operation: string;
  readonly actor: Actor;
  readonly tenant: Tenant | null;
  readonly ip: string | null;
  readonly userAgent: string | null;
  readonly stats: WorkStats;
  /** Who waits for the result; absent for work that nobody waits for. */
  readonly caller?: Caller;
}

export const ANONYMOUS: Actor = Object.freeze({ kind: 'anonymous', id: 'anonymous', role: null });

const storage = new AsyncLocalStorage<Context>();

/** Runs `work` inside `context`; the only door. */
export function withContext<T>(context: Context, work: () => T): T {
  breadcrumbs.resume(context.stats.crumb);
  return storage.run(Object.freeze(context), work);
}

/** The current context. @throws Error outside one, so work without a tenant fails instead of reading everybody's rows. */
export function context(): Context {
  const current = storage.getStore();
  if (!current) throw new Error('No context: this code ran outside a request, job or command');
  breadcrumbs.resume(current.stats.crumb);
  return current;
}

/** For loggers and counters, which also run outside any context. */
export function currentContext(): Context | undefined {
  return storage.getStore();
}

/** The tenant of the current context. @throws Error when the context has none. */
export function tenant(): Tenant {
  const { tenant: current, operation } = context();
  if (!current) throw new Error(`No tenant in the context of ${operation}`);
  return current;
}

export const newWorkStats = (crumb: Crumb = NO_CRUMB): WorkStats => ({ queries: 0, dbMs: 0, crumb });
