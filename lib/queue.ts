/** The producer of background jobs. A job is a row of the open transaction: it is run only if the change commits, and never lost. */
import { context } from './context';
import { isInTransaction, unsafeQuery } from './db';

/** Enough for a mail server that is away for a day; the wait between attempts grows as e^n seconds. */
const MAX_ATTEMPTS = 12;

export interface JobOptions {
  /** Default: as soon as a job process is free. */
  runAt?: Date;
  /** A job of the same key that has not started yet is replaced. */
  jobKey?: string;
}

const ADD = { name: 'enqueue_job', text: 'SELECT enqueue_job($1, $2::json, $3::timestamptz, $4, $5) AS id' };

/**
 * Adds a job to the open transaction. Carries ids, never rows or secrets: the payload rests in a table. Tenant and request id
 * are added from the context, so that the handler works for the same tenant and logs under the same id.
 * @throws Error outside a transaction
 */
export async function enqueue(task: string, ids: Readonly<Record<string, unknown>>, { runAt, jobKey }: JobOptions = {}): Promise<void> {
  if (!isInTransaction()) throw new Error(`Job ${task} enqueued outside a transaction: it could run for a change that is not stored`);
  const { tenant, requestId } = context();
  const payload = JSON.stringify({ tenantId: tenant?.id ?? null, requestId, ...ids });
  await unsafeQuery({ ...ADD, values: [task, payload, runAt ?? null, MAX_ATTEMPTS, jobKey ?? null] });
}
