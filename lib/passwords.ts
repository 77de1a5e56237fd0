/**
 * Password rules and hashes. Hashes are argon2id in PHC form (19 MiB, 2 passes, 1 lane: OWASP's first recommendation), computed
 * off the event loop by the library's own threads.
 */
import { hash, verify } from '@node-rs/argon2';

export const PASSWORD_MIN = 8;
/** A bound on work and memory; argon2 itself would take more. */
export const PASSWORD_MAX = 128;
const SPECIAL = '!@#$%^&*()_+-=[]{}|;:,.<>?';

const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;

/** The first rule that `password` breaks, as a sentence for its owner; null when it keeps all of them. */
export function passwordWeakness(password: unknown): string | null {
  if (typeof password !== 'string' || password === '') return 'Password is required';
  if (password.length < PASSWORD_MIN) return `Password must be at least ${PASSWORD_MIN} characters long`;
  if (password.length > PASSWORD_MAX) return `Password must be at most ${PASSWORD_MAX} characters long`;
  if (!/\p{Lu}/u.test(password)) return 'Password must contain at least one uppercase letter';
  if (!/\p{Ll}/u.test(password)) return 'Password must contain at least one lowercase letter';
  if (!/\d/.test(password)) return 'Password must contain at least one digit';
  if (![...password].some((character) => SPECIAL.includes(character)))
    return `Password must contain at least one special character: ${SPECIAL}`;
  return null;
}

export const hashPassword = (password: string): Promise<string> => hash(password, COST);

let dummyHash: Promise<string> | undefined;

/**
 * Compares in the same time whether or not there is an account: without a hash, the password is verified against one of a
 * password that nobody has. @returns false too for a password longer than any that could have been set
 */
export async function verifyPassword(password: string, storedHash: string | null): Promise<boolean> {
  dummyHash ??= hashPassword(`nobody-${Math.random()}`);
  const known = storedHash !== null && password.length <= PASSWORD_MAX;
  const matches = await verify(known ? storedHash : await dummyHash, password.slice(0, PASSWORD_MAX));
  return known && matches;
}
