/** How the documents round their figures. */

export const rounded = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;
export const ratio = (part: number, whole: number): number => (whole === 0 ? 0 : Math.round((part / whole) * 1e5) / 1e5);
/** Seconds as milliseconds. */
export const toMs = (seconds: number | null): number | null => (seconds === null ? null : Math.round(seconds * 100_000) / 100);
