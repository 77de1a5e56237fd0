/** Notes that the staff keeps about a customer. */
import { z } from 'zod';
import { Instant } from './common.schema';
import { IdText } from './customers.schema';

/** A limit above the maximum is refused, so it stays text until the service has looked at it. */
export const ListNotes = z.object({ limit: z.string().optional(), offset: z.string().optional() });
export type ListNotes = z.infer<typeof ListNotes>;

export const CreateNote = z
  .object({ content: z.unknown().optional(), isAlert: z.boolean('must_be_boolean').nullish() })
  .meta({ id: 'CreateNote' });
export type CreateNote = z.infer<typeof CreateNote>;

export const NoteReply = z
  .object({ id: IdText, author: z.string(), authorRole: z.string(), content: z.string(), isAlert: z.boolean(), createdAt: Instant })
  .meta({ id: 'CustomerNote' });
export type NoteReply = z.infer<typeof NoteReply>;

export const NotesReply = z
  .object({ notes: z.array(NoteReply), total: z.int(), limit: z.int(), offset: z.int() })
  .meta({ id: 'CustomerNotes' });
