/** Accounts of a seeded shop: who they are, and passwords, which are either fixed (load) or made anew for each installation (demo). */
import { randomInt } from 'node:crypto';
import type { StaffRole } from '../../lib/context';

export interface StaffMember {
  readonly id: string;
  readonly role: StaffRole;
  readonly name: string;
  readonly username: string;
  readonly email: string;
  readonly password: string;
}

/** Signs that cannot be taken for one another on a screen. */
const ALPHABETS = ['abcdefghkmnpqrstuvwxyz', 'ABCDEFGHKMNPQRSTUVWXYZ', '23456789'] as const;

/** Random, strong enough for any rule of ours (upper, lower, digit, special), and short enough to type: `kWq7-Xm3e-pT9a`. */
export function newPassword(): string {
  const sign = (alphabet: string): string => alphabet.charAt(randomInt(alphabet.length));
  // Each group has one sign of every kind and a further one, so no rule about kinds can fail.
  const group = (): string => [...ALPHABETS, ALPHABETS.join('')].map(sign).join('');
  return [group(), group(), group()].join('-');
}
