/**
 * Keeps slow statements for `/stats` (the log has them already), and the plan of the worst: every SLOW_QUERY_EXPLAIN seconds this
 * process asks for one, under the tenant and the role that the statement ran under. Plain EXPLAIN, which plans and does not execute:
 * running a slow statement a second time would hurt, and a write would be done twice.
 */
import { config } from '../../config';
import { type Context, newWorkStats, withContext } from '../../lib/context';
import { observeStatements, poolStatus, query, unsafeQuery } from '../../lib/db';
import type { Statement } from '../../lib/db-client';
import { fingerprint } from '../../lib/fingerprint';
import { log } from '../../lib/log';
import { type PlanNode, planLines } from '../../lib/plan-text';
import { PlanSampler } from './plan-sampler';
import { recordSlowPlan, recordSlowQuery } from './recorder';

const sampler = new PlanSampler<Statement>();

/** Begins it; once for a process. @returns what ends it */
export function rememberSlowQueries(everyMs = config.SLOW_QUERY_EXPLAIN * 1000): () => void {
  const stop = observeStatements((statement) => {
    if (statement.ms < config.LOG_SLOW_QUERY_MS || statement.context?.operation === EXPLAINS) return;
    recordSlowQuery(fingerprint(statement.text), statement.ms, statement.operation);
    if (everyMs > 0) sampler.offer(statement);
  });
  const timer = everyMs > 0 ? setInterval(() => void explainWorst(), everyMs) : undefined;
  timer?.unref();
  return () => {
    clearInterval(timer);
    stop();
  };
}

const EXPLAINS = 'slow-query-plan';

/** Takes the plan of the worst slow statement since the last time; nothing while callers wait for connections. Never rejects. */
export async function explainWorst(): Promise<void> {
  if (poolStatus().waiting > 0) return;
  const worst = sampler.take();
  if (!worst) return;
  const print = fingerprint(worst.text);
  try {
    const plan = planLines(await planOf(worst));
    recordSlowPlan(print, plan);
    log.warn('plan of a slow query', { ms: Math.round(worst.ms), fingerprint: print, operation: worst.operation, plan });
  } catch (error) {
    // What ran can mostly be planned again; a table that is gone meanwhile is no fault of this process.
    log.debug('a slow query could not be explained', { fingerprint: print, error });
  }
}

/** In a context of its own: it is nobody's request, and counts for no budget. */
async function planOf({ text, values, context }: Statement): Promise<PlanNode> {
  const tenant = context?.tenant ?? null;
  const own: Context = {
    requestId: context?.requestId ?? '',
    operation: EXPLAINS,
    actor: { kind: 'system', id: EXPLAINS, role: null },
    tenant,
    ip: null,
    userAgent: null,
    stats: newWorkStats(),
  };
  const explain = { text: `EXPLAIN (FORMAT JSON) ${text}` };
  const [row] = await withContext(own, () =>
    tenant
      ? query<{ 'QUERY PLAN': { Plan: PlanNode }[] }>(explain, values)
      : unsafeQuery<{ 'QUERY PLAN': { Plan: PlanNode }[] }>({ ...explain, values }),
  );
  const [{ Plan: plan } = { Plan: undefined }] = row?.['QUERY PLAN'] ?? [];
  if (!plan) throw new Error('EXPLAIN returned no plan');
  return plan;
}
