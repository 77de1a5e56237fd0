/** Reading CSV by RFC 4180: quoted cells may hold commas, line ends and doubled quotes. */

/**
 * The records of a file; a last line end makes no further record, and empty lines are none.
 * @throws Error for a quote that is never closed, or text after a closing quote
 */
export function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = text.startsWith('\uFEFF') ? 1 : 0;
  while (at < text.length) {
    const [cell, end] = text[at] === '"' ? quotedCell(text, at) : plainCell(text, at);
    record.push(cell);
    const isLast = text[end] !== ',';
    if (isLast) {
      if (record.length > 1 || record[0] !== '') records.push(record);
      record = [];
    } else if (end === text.length - 1) {
      records.push([...record, '']);
    }
    at = end + (isLast && text[end] === '\r' && text[end + 1] === '\n' ? 2 : 1);
  }
  return records;
}

/** The cell that begins at `at`, and the index of the separator behind it. */
function plainCell(text: string, at: number): [cell: string, end: number] {
  let end = at;
  while (end < text.length && text[end] !== ',' && text[end] !== '\n' && text[end] !== '\r') end += 1;
  return [text.slice(at, end), end];
}

function quotedCell(text: string, at: number): [cell: string, end: number] {
  let close = at + 1;
  for (;;) {
    close = text.indexOf('"', close);
    if (close < 0) throw new Error('CSV: a quoted cell is never closed');
    if (text[close + 1] !== '"') break;
    close += 2;
  }
  const end = close + 1;
  if (end < text.length && !',\r\n'.includes(text[end] as string)) throw new Error('CSV: text after a closing quote');
  return [text.slice(at + 1, close).replaceAll('""', '"'), end];
}
