/** `?window=` of `/stats`: 60, 300 or 900 seconds; anything else is 60. */
export function windowSeconds(value: unknown): 60 | 300 | 900 {
  if (value === '300') return 300;
  return value === '900' ? 900 : 60;
}
