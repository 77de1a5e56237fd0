/**
 * Arithmetic of amounts: integer cents in, integer cents out, halves away from zero, no float on the way. Products are taken as
 * BigInt, because a price times a rate leaves the integers that a double can hold long before it leaves what a shop can charge.
 */

const HUNDREDTHS = 100;
const BASIS_POINTS = 10_000;

export interface LineAmounts {
  lineSubtotalCents: number;
  taxCents: number;
  totalCents: number;
}

export interface LinePrice {
  /** At most two decimals, above zero. */
  quantity: number;
  unitPriceCents: number;
  /** Hundredths of a percent: 875 is 8.75 %. */
  taxBasisPoints: number;
}

/**
 * `numerator / denominator`, rounded to an integer, halves up. @throws RangeError for a negative numerator, a denominator that
 * is not positive, or a result that is no safe integer
 */
function divideHalfUp(numerator: bigint, denominator: bigint): number {
  if (numerator < 0n || denominator <= 0n) throw new RangeError('Only amounts that are not negative are rounded');
  return toSafe((numerator * 2n + denominator) / (denominator * 2n));
}

function toSafe(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError('An amount is too large');
  return number;
}

/** @throws RangeError for anything but a whole number that is not negative */
function cents(value: number): bigint {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('An amount is not a whole number of cents');
  return BigInt(value);
}

/** The amounts of one line: the subtotal rounded first, then the tax on the rounded subtotal. @throws RangeError */
export function lineAmounts({ quantity, unitPriceCents, taxBasisPoints }: LinePrice): LineAmounts {
  const hundredths = Math.round(quantity * HUNDREDTHS);
  if (hundredths <= 0 || Math.abs(quantity * HUNDREDTHS - hundredths) > 1e-6) throw new RangeError('A quantity has at most two decimals');
  const lineSubtotalCents = divideHalfUp(BigInt(hundredths) * cents(unitPriceCents), BigInt(HUNDREDTHS));
  const taxCents = divideHalfUp(BigInt(lineSubtotalCents) * cents(taxBasisPoints), BigInt(BASIS_POINTS));
  return { lineSubtotalCents, taxCents, totalCents: toSafe(BigInt(lineSubtotalCents) + BigInt(taxCents)) };
}

/**
 * Prices that add up to exactly `targetCents`, in proportion to `prices`: each rounded down, the remainder on the last. Prices that
 * are all zero put everything on the last. @throws RangeError for no price at all
 */
export function scaleToTotal(prices: readonly number[], targetCents: number): number[] {
  if (prices.length === 0) throw new RangeError('Nothing to scale');
  const target = cents(targetCents);
  const sum = prices.reduce((total, price) => total + cents(price), 0n);
  const scaled = prices.map((price) => (sum === 0n ? 0n : (BigInt(price) * target) / sum));
  const rest = target - scaled.reduce((total, price) => total + price, 0n);
  return scaled.map((price, index) => toSafe(index === scaled.length - 1 ? price + rest : price));
}

/** `1234567` -> `$12,345.67`; a negative amount has its sign in front. */
export function formatCents(amount: number): string {
  const digits = String(Math.abs(amount)).padStart(3, '0');
  const dollars = digits.slice(0, -2).replace(/\B(?=(?:\d{3})+$)/g, ',');
  return `${amount < 0 ? '-' : ''}$${dollars}.${digits.slice(-2)}`;
}

/** `875` -> `8.75 %`. */
export const formatBasisPoints = (points: number): string => `${String(points / HUNDREDTHS)} %`;
