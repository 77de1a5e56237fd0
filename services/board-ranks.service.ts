/**
 * The order of cards that people arrange by hand: a sparse rank in each column, smaller is higher. A card goes between two
 * others by taking a rank between theirs; only when there is no room are the cards above it given new ranks.
 */
import { clock } from '../lib/clock';
import { tenant } from '../lib/context';
import { dayOf, rangeOfDay } from '../lib/days';
import { query } from '../lib/db';
import { COLUMN_CARDS, COLUMN_TOP, SET_RANKS } from '../models/board.queries';
import type { AppointmentStatus } from '../schemas/appointments.schema';

/** Distance between fresh ranks: room for about forty halvings. */
const STEP = 1024;
const SMALLEST_GAP = 1e-6;

export interface Place {
  rank: number;
  /** 1 at the top; less than asked for when the column is shorter. */
  position: number;
}

/**
 * The rank that puts a card at `position` of today's column; the column is locked until the transaction ends.
 * @param position 1 is the top, above all cards of the column on whatever day
 */
export async function rankInColumn(wanted: { appointmentId: number; status: AppointmentStatus; position: number }): Promise<Place> {
  const { appointmentId, status, position } = wanted;
  const { id: tenantId, timeZone } = tenant();
  await query({ name: 'board_lock_column', text: `SELECT pg_advisory_xact_lock(hashtextextended('column:' || $1 || ':' || $2, 0))` }, [
    tenantId,
    status,
  ]);
  if (position === 1) {
    const [top] = await query<{ position: number }>(COLUMN_TOP, [tenantId, status, appointmentId]);
    return { rank: (top?.position ?? STEP) - STEP, position: 1 };
  }
  const { from, to } = rangeOfDay(dayOf(clock.now(), timeZone), timeZone);
  const cards = await query<{ id: number; position: number | null }>(COLUMN_CARDS, [tenantId, status, from, to, appointmentId]);
  const index = Math.min(position - 1, cards.length);
  const above = cards.slice(0, index);
  const room = rankBetween(above.at(-1)?.position, cards[index]?.position, index === 0);
  if (room !== null) return { rank: room, position: index + 1 };

  const below = cards.slice(index).filter((card) => card.position !== null);
  const ranks = [...above.map((_, nr) => (nr + 1) * STEP), ...below.map((_, nr) => (index + 2 + nr) * STEP)];
  await query(SET_RANKS, [tenantId, [...above, ...below].map(({ id }) => id), ranks]);
  return { rank: (index + 1) * STEP, position: index + 1 };
}

/**
 * A rank between two neighbours, or null when there is none. Undefined stands for no card, null for one without a rank:
 * unranked cards are below all ranked ones, so nothing fits under them.
 */
export function rankBetween(above: number | null | undefined, below: number | null | undefined, isTop: boolean): number | null {
  if (isTop) return typeof below === 'number' ? below - STEP : 0;
  if (typeof above !== 'number') return null;
  if (typeof below !== 'number') return above + STEP;
  return below - above > SMALLEST_GAP ? (above + below) / 2 : null;
}
