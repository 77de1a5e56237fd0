/** Telephone numbers as the SMS provider takes them. */

const SHORTEST_INTERNATIONAL = 10;
const LONGEST = 15;

/** E.164 of a number as people type it; ten digits are a number of North America. Null for what cannot be one. */
export function toE164(phone: string | null | undefined): string | null {
  const text = phone?.trim() ?? '';
  const digits = text.replace(/\D/g, '');
  if (text.startsWith('+'))
    return digits.length >= SHORTEST_INTERNATIONAL && digits.length <= LONGEST && !digits.startsWith('0') ? `+${digits}` : null;
  if (digits.length === 10) return `+1${digits}`;
  return digits.length === 11 && digits.startsWith('1') ? `+${digits}` : null;
}
