/**
 * PDF files, drawn in a worker thread of this process so that the event loop stays free, and kept by content: a document that
 * says the same again costs nothing. The thread runs the built file, also under tests, because a thread loads no TypeScript.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { Piscina } from 'piscina';
import type { InvoiceDocument } from '../../schemas/invoice-documents.schema';
import { Unavailable } from '../errors';
import { PROJECT_ROOT } from '../project-root';

const THREAD = join(PROJECT_ROOT, 'dist', 'lib', 'pdf', 'thread.js');
/** More documents than this waiting would be answered after their clients have gone. */
const MAX_WAITING = 50;
const LIMIT_MS = 20_000;
const CACHE_BYTES = 32 * 1024 * 1024;

let pool: Piscina | undefined;
const files = new LRUCache<string, Buffer>({ maxSize: CACHE_BYTES, sizeCalculation: ({ length }) => length });
const drawing = new Map<string, Promise<Buffer>>();

/**
 * The PDF of a document, from memory when this tenant's document said the same before.
 * @throws Unavailable when too many wait, or drawing takes longer than 20 s
 */
export async function invoicePdf(tenantId: string, document: InvoiceDocument): Promise<Buffer> {
  const content = createHash('sha256').update(JSON.stringify(document)).digest('base64url');
  const key = `${tenantId}:${content}`;
  const known = files.get(key) ?? drawing.get(key);
  if (known) return known;
  const file = draw(document).finally(() => drawing.delete(key));
  drawing.set(key, file);
  const bytes = await file;
  files.set(key, bytes);
  return bytes;
}

async function draw(document: InvoiceDocument): Promise<Buffer> {
  if (!pool && !existsSync(THREAD)) throw new Error('PDF files are drawn by the built service: run npm run build');
  // One thread, which stays: drawing never waits, so a second would only add a cold start, and an instance has a process for each core.
  pool ??= new Piscina({ filename: THREAD, minThreads: 1, maxThreads: 1, maxQueue: MAX_WAITING });
  if (pool.queueSize >= MAX_WAITING) throw new Unavailable('pdf_queue_full');
  const signal = AbortSignal.timeout(LIMIT_MS);
  try {
    const bytes = (await pool.run(document, { name: 'renderInvoice', signal })) as Uint8Array;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    if (signal.aborted) throw new Unavailable('pdf_timeout', { cause: error });
    throw error;
  }
}

/** Ends the thread; the next document starts another. For tests and for the end of the process. */
export async function closePdfThread(): Promise<void> {
  const ending = pool;
  pool = undefined;
  files.clear();
  await ending?.destroy();
}
