/** The staff's notes about a customer: one page with its total, and a new one. */
import { tenant } from '../lib/context';
import { query } from '../lib/db';

export interface NoteRow {
  id: number;
  author_name: string;
  author_role: string;
  content: string;
  is_alert: boolean;
  created_at: Date;
}

const COLUMNS = 'n.id, n.author_name, n.author_role, n.content, n.is_alert, n.created_at';

/** Newest first; undefined without such a customer. One statement. */
export async function notesOfCustomer(
  customerId: number,
  { limit, offset }: { limit: number; offset: number },
): Promise<{ notes: NoteRow[]; total: number } | undefined> {
  // The customer alone when there is no note on this page, else one row for each note.
  const rows = await query<Partial<NoteRow> & { total: number }>(
    {
      name: 'notes_of_customer',
      text: `SELECT t.total, n.* FROM customers c
        CROSS JOIN (SELECT count(*) AS total FROM customer_notes n WHERE n.tenant_id = $1 AND n.customer_id = $2) t
        LEFT JOIN LATERAL (SELECT ${COLUMNS} FROM customer_notes n WHERE n.tenant_id = $1 AND n.customer_id = $2
          ORDER BY n.created_at DESC, n.id DESC LIMIT $3::int OFFSET $4::int) n ON true
        WHERE c.tenant_id = $1 AND c.id = $2 AND c.deleted_at IS NULL ORDER BY n.created_at DESC, n.id DESC`,
    },
    [tenant().id, customerId, limit, offset],
  );
  const [first] = rows;
  return first && { total: first.total, notes: rows.filter((row): row is NoteRow & { total: number } => typeof row.id === 'number') };
}

export async function addNote(note: {
  customerId: number;
  authorId: string;
  authorName: string;
  authorRole: string;
  content: string;
  isAlert: boolean;
}): Promise<NoteRow> {
  const [row] = await query<NoteRow>(
    {
      text: `INSERT INTO customer_notes AS n (tenant_id, customer_id, author_id, author_name, author_role, content, is_alert)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
    },
    [tenant().id, note.customerId, note.authorId, note.authorName, note.authorRole, note.content, note.isAlert],
  );
  if (!row) throw new Error('No row from an insert');
  return row;
}
