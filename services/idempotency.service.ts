/**
 * A write that a client may repeat without doing it twice. The reply is stored under the caller's key in the same transaction
 * as the effect, so there is never one without the other; a repetition gets the stored reply. Keys live for 24 hours and
 * belong to one tenant, caller and endpoint: somebody else's key is simply another key.
 */
import { createHash } from 'node:crypto';
import { tenant } from '../lib/context';
import { inTransaction, query } from '../lib/db';
import { translateDatabaseError } from '../lib/db-errors';
import { AppError, Conflict, IdempotencyKeyReuse } from '../lib/errors';
import { log } from '../lib/log';

export interface IdempotentCall {
  /** Who calls, for example `staff:<id>`. */
  actor: string;
  method: string;
  /** Endpoint id. */
  route: string;
  key: string;
  /** From {@link fingerprintOf}: what makes two requests the same request. */
  bodyHash: string;
}

/** A reply as it is stored: text as sent. */
export interface StoredReply {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** Hash of what the client asked for: the path with its parameters, and the bytes of the body. */
export const fingerprintOf = (path: string, body: Uint8Array): string =>
  createHash('sha256').update(path).update('\0').update(body).digest('base64url');

/** Refusals that depend on who asks or on the moment: the next attempt deserves a fresh answer. */
const TRANSIENT = new Set([401, 403, 408, 429]);

/** Refusals of this mechanism itself. */
const OWN_CODES = new Set(['idempotency_in_progress', 'idempotency_key_reuse']);

/**
 * Runs `work` at most once for its key. `work` joins the transaction opened here. A refusal it throws is stored too, by
 * `describe`, in a transaction of its own (the first one is rolled back), and thrown on.
 * @throws Conflict `idempotency_in_progress` while the first call still runs; IdempotencyKeyReuse for another request under the key
 */
export async function runOnce(
  call: IdempotentCall,
  work: () => Promise<StoredReply>,
  describe: (refusal: AppError) => StoredReply,
): Promise<{ reply: StoredReply; status: 'stored' | 'replayed' }> {
  try {
    return await inTransaction(async () => {
      await lock(call);
      const known = await find(call);
      if (known) return { reply: known, status: 'replayed' };
      const reply = await work();
      await store(call, reply);
      return { reply, status: 'stored' };
    });
  } catch (error) {
    const refusal = error instanceof AppError ? error : translateDatabaseError(error);
    if (refusal && isStorable(refusal)) await remember(call, describe(refusal));
    throw error;
  }
}

const isStorable = ({ status, code }: AppError): boolean => status >= 400 && status < 500 && !TRANSIENT.has(status) && !OWN_CODES.has(code);

/** Losing the race against a repetition costs nothing: that one stores what it finds. The caller gets its refusal either way. */
async function remember(call: IdempotentCall, reply: StoredReply): Promise<void> {
  try {
    await inTransaction(async () => {
      await lock(call);
      if (!(await find(call))) await store(call, reply);
    });
  } catch (error) {
    log.warn('refusal not stored under its idempotency key', { route: call.route, error });
  }
}

/** One call at a time for each key, without making the second one wait. */
async function lock({ actor, method, route, key }: IdempotentCall): Promise<void> {
  const [row] = await query<{ locked: boolean }>(
    { name: 'idempotency_lock', text: 'SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked' },
    [['idempotency', tenant().id, actor, method, route, key].join('\n')],
  );
  if (!row?.locked)
    throw new Conflict('A request with this Idempotency-Key is still being processed', {
      code: 'idempotency_in_progress',
      headers: { 'Retry-After': '1' },
    });
}

async function find({ actor, method, route, key, bodyHash }: IdempotentCall): Promise<StoredReply | undefined> {
  const [row] = await query<{ body_hash: string; status: number; headers: Record<string, string>; response: string }>(
    {
      name: 'idempotency_find',
      text: `SELECT body_hash, status, headers, response FROM idempotency_keys
        WHERE tenant_id = $1 AND actor = $2 AND method = $3 AND route = $4 AND key = $5 AND expires_at > now()`,
    },
    [tenant().id, actor, method, route, key],
  );
  if (!row) return undefined;
  if (row.body_hash !== bodyHash) throw new IdempotencyKeyReuse();
  return { status: row.status, headers: row.headers, body: row.response };
}

/** Takes the place of an expired row of the same key. */
async function store({ actor, method, route, key, bodyHash }: IdempotentCall, { status, headers, body }: StoredReply): Promise<void> {
  await query(
    {
      name: 'idempotency_store',
      text: `INSERT INTO idempotency_keys (tenant_id, actor, method, route, key, body_hash, status, headers, response)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
        ON CONFLICT (tenant_id, actor, method, route, key) DO UPDATE SET body_hash = excluded.body_hash, status = excluded.status,
          headers = excluded.headers, response = excluded.response, created_at = now(), expires_at = now() + interval '24 hours'`,
    },
    [tenant().id, actor, method, route, key, bodyHash, status, JSON.stringify(headers), body],
  );
}
