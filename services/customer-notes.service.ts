/** Notes that the staff keeps about a customer. Written once, never changed. */
import { context } from '../lib/context';
import { inTransaction } from '../lib/db';
import { BadRequest, NotFound } from '../lib/errors';
import { addNote, type NoteRow, notesOfCustomer } from '../models/customer-notes.queries';
import { customerExists } from '../models/customers.queries';
import type { CreateNote, ListNotes } from '../schemas/customer-notes.schema';
import { recordAudit } from './audit.service';

const MAX_CONTENT = 500;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

export interface NotesPage {
  notes: NoteRow[];
  total: number;
  limit: number;
  offset: number;
}

/** One page, newest first. @throws BadRequest for a limit above 100; NotFound 'Customer not found' */
export async function listNotes(customerId: number, wanted: ListNotes): Promise<NotesPage> {
  const limit = whole(wanted.limit) ?? DEFAULT_LIMIT;
  if (limit > MAX_LIMIT) throw new BadRequest(`limit must be at most ${MAX_LIMIT}`);
  const page = { limit: limit <= 0 ? DEFAULT_LIMIT : limit, offset: Math.max(whole(wanted.offset) ?? 0, 0) };
  const found = await notesOfCustomer(customerId, page);
  if (!found) throw new NotFound('Customer not found');
  return { ...found, ...page };
}

const whole = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d{1,9}$/.test(text.trim()) ? Number(text) : undefined;

/** Adds a note in the caller's name. @throws BadRequest for no or too much content; NotFound 'Customer not found' */
export function createNote(customerId: number, { content, isAlert }: CreateNote): Promise<NoteRow> {
  const text = typeof content === 'string' ? content.trim() : '';
  if (text === '') throw new BadRequest('content is required');
  if (text.length > MAX_CONTENT) throw new BadRequest(`content must be <= ${MAX_CONTENT} characters`);
  const { actor } = context();
  if (actor.kind !== 'staff') throw new Error("Notes are the staff's");
  return inTransaction(async () => {
    if (!(await customerExists(customerId))) throw new NotFound('Customer not found');
    const note = await addNote({
      customerId,
      authorId: actor.id,
      authorName: actor.name,
      authorRole: actor.role,
      content: text,
      isAlert: isAlert ?? false,
    });
    await recordAudit({
      action: 'CUSTOMER_NOTE_CREATE',
      entity: 'customer',
      entityId: String(customerId),
      after: { note_id: note.id, is_alert: note.is_alert },
    });
    return note;
  });
}
