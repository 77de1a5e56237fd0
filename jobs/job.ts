/**
 * What a background job is, and how one is run: payload checked, context restored (tenant, request id of whoever enqueued it),
 * outcome logged. A job may run twice, never zero times: what it does must bear repetition.
 */
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { breadcrumbs } from '../lib/breadcrumbs';
import { newWorkStats, type Tenant, withContext } from '../lib/context';
import { log } from '../lib/log';
import { ProviderRefusal } from '../lib/provider-error';
import { JobOrigin } from '../schemas/jobs.schema';
import { unsafeFindTenant } from '../services/tenants.service';

export interface Job {
  /** `noun.verb`, a literal in the code that enqueues it. */
  readonly name: string;
  /** Five cron fields in UTC, for a job that nobody enqueues. */
  readonly schedule?: string;
  /**
   * How often one due time of a scheduled job is tried at most (3). With 1 it is never done twice: when its process dies at work it counts
   * among the dead jobs on `/stats`, and the next due time is the next attempt.
   */
  readonly attempts?: number;
  /** Hands something to the outside, so that somebody waits for it: counted as the outbox on `/stats`. */
  readonly outgoing?: boolean;
  readonly payload: z.ZodType;
  readonly run: (payload: never) => Promise<void>;
  /** Called once when the last attempt has failed; what nobody will try again must not look as if it were on its way. */
  readonly givenUp?: (payload: never) => Promise<void>;
}

/** Checks the handler against the schema of its payload. */
export function job<S extends z.ZodType>(definition: {
  name: string;
  schedule?: string;
  attempts?: number;
  outgoing?: boolean;
  payload: S;
  run: (payload: z.output<S>) => Promise<void>;
  givenUp?: (payload: z.output<S>) => Promise<void>;
}): Job {
  return definition as unknown as Job;
}

export interface Attempt {
  /** Counted from 1. */
  attempt: number;
  maxAttempts: number;
}

/** Trying again would change nothing; whoever runs the queue makes this attempt the last. */
export const isFinal = (error: unknown): boolean => error instanceof ProviderRefusal;

/** Runs one attempt. @throws whatever the job throws, so that the library tries again later */
export async function runJob({ name, payload, run, givenUp }: Job, raw: unknown, { attempt, maxAttempts }: Attempt): Promise<void> {
  const { tenantId, requestId } = JobOrigin.parse(raw);
  const tenant: Tenant | null = tenantId === null ? null : await unsafeFindTenant(tenantId);
  if (tenantId !== null && !tenant) {
    log.warn('job dropped: its tenant is gone', { job: name });
    return;
  }
  const crumb = breadcrumbs.enter();
  const id = requestId ?? randomUUID();
  breadcrumbs.setId(crumb, id);
  breadcrumbs.setRoute(crumb, name);
  const context = {
    requestId: id,
    operation: name,
    actor: { kind: 'system', id: `job:${name}`, role: null } as const,
    tenant,
    ip: null,
    userAgent: null,
    stats: newWorkStats(crumb),
  };
  const started = performance.now();
  await withContext(context, async () => {
    try {
      await run(payload.parse(raw) as never);
      log.info('job done', { job: name, attempt, ms: Math.round(performance.now() - started), queries: context.stats.queries });
    } catch (error) {
      const last = attempt >= maxAttempts || isFinal(error);
      log.log(last ? 'error' : 'warn', last ? 'job given up' : 'job failed; it will be tried again', { job: name, attempt, error });
      if (last) await givenUp?.(payload.parse(raw) as never);
      throw error;
    } finally {
      breadcrumbs.leave(crumb);
    }
  });
}
