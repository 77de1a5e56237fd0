import fc from 'fast-check';
import { formatBasisPoints, formatCents, lineAmounts, scaleToTotal } from '../../../lib/money';
import { statusOf } from '../../../models/invoice-transitions';

const price = fc.integer({ min: 0, max: 9_999_999_999 });
/** Halves up by text: another way to the same digits. */
const roundedByText = (numerator: bigint, digits: number): number => {
  const text = String(numerator).padStart(digits + 1, '0');
  return Number(BigInt(text.slice(0, -digits)) + (text.at(-digits)! >= '5' ? 1n : 0n));
};

describe('lineAmounts', () => {
  test.each([
    [{ quantity: 1, unitPriceCents: 1_000, taxBasisPoints: 0 }, [1_000, 0, 1_000]],
    // 0.5 cents up, 0.4999 down.
    [{ quantity: 0.5, unitPriceCents: 1, taxBasisPoints: 0 }, [1, 0, 1]],
    [{ quantity: 0.49, unitPriceCents: 1, taxBasisPoints: 0 }, [0, 0, 0]],
    [{ quantity: 1, unitPriceCents: 4, taxBasisPoints: 1_250 }, [4, 1, 5]],
    [{ quantity: 1, unitPriceCents: 3, taxBasisPoints: 1_666 }, [3, 0, 3]],
    [{ quantity: 1.15, unitPriceCents: 100, taxBasisPoints: 875 }, [115, 10, 125]],
    [{ quantity: 1, unitPriceCents: 9_999_999_999, taxBasisPoints: 9_999 }, [9_999_999_999, 9_998_999_999, 19_998_999_998]],
  ])('%j › %j', (line, [subtotal, tax, total]) => {
    expect(lineAmounts(line)).toEqual({ lineSubtotalCents: subtotal, taxCents: tax, totalCents: total });
  });

  test('any line › the digits of long multiplication', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        price,
        fc.integer({ min: 0, max: 10_000 }),
        (hundredths, unitPriceCents, taxBasisPoints) => {
          const { lineSubtotalCents, taxCents, totalCents } = lineAmounts({ quantity: hundredths / 100, unitPriceCents, taxBasisPoints });
          expect(lineSubtotalCents).toBe(roundedByText(BigInt(hundredths) * BigInt(unitPriceCents), 2));
          expect(taxCents).toBe(roundedByText(BigInt(lineSubtotalCents) * BigInt(taxBasisPoints), 4));
          expect(totalCents).toBe(lineSubtotalCents + taxCents);
        },
      ),
    );
  });

  test.each([
    { quantity: 0, unitPriceCents: 1, taxBasisPoints: 0 },
    { quantity: -1, unitPriceCents: 1, taxBasisPoints: 0 },
    { quantity: 1.005, unitPriceCents: 1, taxBasisPoints: 0 },
    { quantity: 1, unitPriceCents: -1, taxBasisPoints: 0 },
    { quantity: 1, unitPriceCents: 0.5, taxBasisPoints: 0 },
    { quantity: 1, unitPriceCents: Number.NaN, taxBasisPoints: 0 },
    { quantity: 1, unitPriceCents: 1, taxBasisPoints: -1 },
    { quantity: 1000, unitPriceCents: Number.MAX_SAFE_INTEGER, taxBasisPoints: 0 },
  ])('%j › refused', (line) => {
    expect(() => lineAmounts(line)).toThrow(RangeError);
  });
});

describe('scaleToTotal', () => {
  test('any prices and target › sums to the target; each within a cent below its share, but the last', () => {
    fc.assert(
      fc.property(fc.array(price, { minLength: 1, maxLength: 12 }), price, (prices, target) => {
        const scaled = scaleToTotal(prices, target);
        expect(scaled).toHaveLength(prices.length);
        expect(scaled.reduce((sum, one) => sum + one, 0)).toBe(target);
        const sum = prices.reduce((total, one) => total + BigInt(one), 0n);
        for (const [index, one] of scaled.entries()) {
          expect(one).toBeGreaterThanOrEqual(0);
          if (index === scaled.length - 1 || sum === 0n) continue;
          const missing = BigInt(prices[index]!) * BigInt(target) - BigInt(one) * sum;
          expect(missing >= 0n && missing < sum).toBe(true);
        }
      }),
    );
  });

  test('prices of nothing › all on the last; the same sum › unchanged', () => {
    expect(scaleToTotal([0, 0, 0], 100)).toEqual([0, 0, 100]);
    expect(scaleToTotal([3_333, 2_222, 777], 6_332)).toEqual([3_333, 2_222, 777]);
    expect(() => scaleToTotal([], 1)).toThrow(RangeError);
  });
});

test.each([
  [0, '$0.00'],
  [5, '$0.05'],
  [99, '$0.99'],
  [100, '$1.00'],
  [123_456, '$1,234.56'],
  [100_000_000_000, '$1,000,000,000.00'],
  [-2_000, '-$20.00'],
])('formatCents(%i) › %s', (cents, text) => expect(formatCents(cents)).toBe(text));
test('formatBasisPoints', () => expect([0, 5, 875, 1_000].map(formatBasisPoints)).toEqual(['0 %', '0.05 %', '8.75 %', '10 %']));

describe('statusOf', () => {
  const standing = { status: 'DRAFT', totalCents: 100, paidCents: 0, isIssued: false } as const;
  test.each([
    [{}, 'DRAFT'],
    [{ isIssued: true }, 'SENT'],
    [{ paidCents: 1, isIssued: true }, 'PARTIALLY_PAID'],
    [{ paidCents: 100, isIssued: true }, 'PAID'],
    [{ status: 'PAID', paidCents: 99, isIssued: true }, 'PARTIALLY_PAID'],
    [{ status: 'PAID', paidCents: 0, isIssued: true }, 'SENT'],
    [{ totalCents: 0 }, 'DRAFT'],
    [{ status: 'VOID', paidCents: 100, isIssued: true }, 'VOID'],
  ] as const)('%j › %s', (change, status) => expect(statusOf({ ...standing, ...change })).toBe(status));
});
