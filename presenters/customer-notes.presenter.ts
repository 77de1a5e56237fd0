/** A note about a customer on the wire. */
import type { NoteRow } from '../models/customer-notes.queries';
import type { NoteReply } from '../schemas/customer-notes.schema';

export const presentNote = (note: NoteRow): NoteReply => ({
  id: String(note.id),
  author: note.author_name,
  authorRole: note.author_role,
  content: note.content,
  isAlert: note.is_alert,
  createdAt: note.created_at.toISOString(),
});
