import fc from 'fast-check';
import { Email, ModelYear, Phone, Plate, phoneDigits, plateKey, Vin } from '../../../schemas/identity.schema';

const reasons = (result: { error?: { issues: { message: string }[] } | undefined }) => result.error?.issues.map(({ message }) => message);

describe('phoneDigits', () => {
  test('any writing of a number › the same digits', () => {
    const digits = fc.stringMatching(/^[2-9]\d{9}$/);
    fc.assert(
      fc.property(digits, (number) => {
        const [a, b, c] = [number.slice(0, 3), number.slice(3, 6), number.slice(6)];
        for (const writing of [number, `(${a}) ${b}-${c}`, `+1 ${a}.${b}.${c}`, `1${number}`]) expect(phoneDigits(writing)).toBe(number);
      }),
    );
  });
  test('eleven digits that do not start with 1, and a lone 1 › kept', () => {
    expect([phoneDigits('44 7700 900123'), phoneDigits('1'), phoneDigits('none')]).toEqual(['447700900123', '1', '']);
  });
});

describe('plateKey', () => {
  test('marks and case › make no difference', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Z0-9]{2,8}$/), fc.nat(6), (plate, at) => {
        expect(plateKey(`${plate.slice(0, at)} - ${plate.slice(at)}`.toLowerCase())).toBe(plate);
      }),
    );
  });
});

describe('fields', () => {
  test('blank and null › null', () => {
    for (const schema of [Email, Phone, Vin, Plate]) for (const blank of ['', '  ', null]) expect(schema.parse(blank)).toBeNull();
  });
  test('normalised', () => {
    expect(Email.parse(' A@B.Co ')).toBe('a@b.co');
    expect(Vin.parse(' 1hgcm82633a004352 ')).toBe('1HGCM82633A004352');
    expect(Plate.parse(' ab-1 ')).toBe('AB-1');
    expect(Phone.parse(' (555) 1.2-3 ')).toBe('(555) 1.2-3');
    expect(ModelYear.parse('1999')).toBe(1999);
  });
  test.each([
    [Email, 'nobody', 'invalid'],
    [Email, 'a b@c.de', 'invalid'],
    [Email, 7, 'invalid'],
    [Phone, '555 CALL', 'invalid'],
    [Phone, '1'.repeat(21), 'too_long'],
    [Vin, '1HGCM82633A00435', 'length'],
    [Vin, '1HGCM82633A00435O', 'invalid'],
    [Plate, 'X'.repeat(21), 'too_long'],
    [ModelYear, 1899, 'out_of_range'],
    [ModelYear, new Date().getUTCFullYear() + 2, 'out_of_range'],
    [ModelYear, 2000.5, 'out_of_range'],
    [ModelYear, undefined, 'required'],
  ] as const)('%# %p › %s', (schema, value, reason) => {
    expect(reasons(schema.safeParse(value))?.[0]).toBe(reason);
  });
});
