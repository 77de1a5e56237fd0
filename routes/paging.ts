/** Page by page lists on the wire: the rows are JSON text from SQL, the counts come along in data and in meta. */
import { JsonText, Reply } from './endpoint';

export interface ListPage {
  /** JSON text of an array. */
  items: string;
  page: number;
  pageSize: number;
  total: number;
}

export function pageReply({ items, page, pageSize, total }: ListPage): Reply {
  const pagination = { page, page_size: pageSize, total, total_pages: Math.ceil(total / pageSize) };
  return new Reply(new JsonText(`{"items":${items},${JSON.stringify(pagination).slice(1)}`), { meta: { pagination } });
}
