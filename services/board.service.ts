/** The board: a day of the shop with the unfinished work carried over into it, or any range of time. */
import { createHash } from 'node:crypto';
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { dayOf, isDay, rangeOfDay } from '../lib/days';
import { query } from '../lib/db';
import { BadRequest } from '../lib/errors';
import { type BoardRange, boardSql } from '../models/board.queries';
import type { BoardQuery } from '../schemas/board.schema';
import { boundary, uuid } from './appointments.service';

const NO = new Set(['0', 'false', 'no']);

export interface BoardReply {
  /** JSON of `{columns, cards}`. */
  json: string;
  /** Changes with anything on the board, names of customers and prices included. */
  etag: string;
}

/**
 * The board as JSON text, by one statement.
 * @throws BadRequest for a date or technician id that cannot be read
 */
export async function readBoard(given: BoardQuery): Promise<BoardReply> {
  const { id, timeZone } = tenant();
  const [row] = await query<{ json: string }>(...boardSql(rangeOf(given, timeZone), id, timeZone));
  if (!row) throw new Error('The board has no row');
  return { json: row.json, etag: createHash('sha1').update(row.json).digest('base64url') };
}

function rangeOf({ from, to, date, techId, includeCarryover }: BoardQuery, timeZone: string): BoardRange {
  const tech = techId === undefined ? null : uuid(techId);
  if (from !== undefined || to !== undefined) {
    return {
      from: from === undefined ? null : boundary(from, 'from', timeZone),
      to: to === undefined ? null : boundary(to, 'to', timeZone),
      techId: tech,
      carryOver: false,
      withCanceled: true,
    };
  }
  if (date !== undefined && !isDay(date)) throw new BadRequest("Invalid 'date' date format");
  return {
    ...rangeOfDay(date ?? dayOf(clock.now(), timeZone), timeZone),
    techId: tech,
    carryOver: !NO.has(includeCarryover?.toLowerCase() ?? ''),
    withCanceled: false,
  };
}
