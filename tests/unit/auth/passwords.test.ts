import fc from 'fast-check';
import { hashPassword, PASSWORD_MAX, passwordWeakness, verifyPassword } from '../../../lib/passwords';

describe('passwordWeakness', () => {
  it.each([
    [undefined, 'Password is required'],
    ['', 'Password is required'],
    ['Ab1!', 'Password must be at least 8 characters long'],
    ['aaaaaaa1!', 'Password must contain at least one uppercase letter'],
    ['AAAAAAA1!', 'Password must contain at least one lowercase letter'],
    ['Aaaaaaaa!', 'Password must contain at least one digit'],
    ['Aaaaaaaa1', 'Password must contain at least one special character: !@#$%^&*()_+-=[]{}|;:,.<>?'],
    ['Aa1!'.repeat(33), 'Password must be at most 128 characters long'],
  ])('%p › breaks a rule › says which, the first one only', (password, message) => {
    expect(passwordWeakness(password)).toBe(message);
  });

  const character = (set: string) => fc.constantFrom(...set);
  const strong = fc
    .tuple(
      character('ABCXYZ'),
      character('abcxyz'),
      character('0123456789'),
      character('!@#$%^&*()_+-=[]{}|;:,.<>?'),
      fc.string({ minLength: 4, maxLength: PASSWORD_MAX - 4 }),
    )
    .map((parts) => parts.join(''));

  it('any password with all four classes and an allowed length › accepted', () => {
    fc.assert(
      fc.property(strong, (password) => fc.pre(password.length <= PASSWORD_MAX) === undefined && passwordWeakness(password) === null),
    );
  });

  it('any strong password without one of its classes › refused', () => {
    const classes = [/[A-Z]/gu, /[a-z]/gu, /\d/gu, /[!@#$%^&*()_+\-=[\]{}|;:,.<>?]/gu];
    fc.assert(
      fc.property(strong, fc.constantFrom(...classes), (password, removed) => {
        // Padded with what belongs to no class, so that only the missing class can be the reason.
        const weakened = `${password
          .normalize('NFC')
          .replace(/[^ -~]/g, '')
          .replace(removed, '')}        `.slice(0, PASSWORD_MAX);
        return passwordWeakness(weakened) !== null;
      }),
    );
  });

  it('any value at all › a sentence or null, never an exception', () => {
    fc.assert(fc.property(fc.anything(), (value) => ['string', 'object'].includes(typeof passwordWeakness(value))));
  });
});

describe('verifyPassword', () => {
  it('a hash of ours › argon2id with 19 MiB and two passes › verifies its password only', async () => {
    const hash = await hashPassword('Right-Pass1');
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await expect(verifyPassword('Right-Pass1', hash)).resolves.toBe(true);
    await expect(verifyPassword('right-Pass1', hash)).resolves.toBe(false);
  });

  it('no account › refused after as much work as with one', async () => {
    const hash = await hashPassword('Right-Pass1');
    await verifyPassword('x', null);
    const timeOf = async (stored: string | null) => {
      const started = performance.now();
      for (let round = 0; round < 5; round += 1) expect(await verifyPassword('Wrong-Pass1', stored)).toBe(false);
      return performance.now() - started;
    };
    const [known, unknown] = [await timeOf(hash), await timeOf(null)];
    // Skipping the hash would make it hundreds of times faster; a busy machine makes it a few times slower or faster.
    expect(unknown).toBeGreaterThan(known / 5);
  });

  it('a password longer than can be set › refused, also when its beginning is right', async () => {
    const longest = `Aa1!${'x'.repeat(PASSWORD_MAX - 4)}`;
    const hash = await hashPassword(longest);
    await expect(verifyPassword(longest, hash)).resolves.toBe(true);
    await expect(verifyPassword(`${longest}y`, hash)).resolves.toBe(false);
  });
});
