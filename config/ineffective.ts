/** Settings that are understood and checked but do nothing in this version: an operator must not believe in them. */
import type { Config } from './load';

export function ineffectiveSettings(config: Pick<Config, 'SENTRY_DSN'>): string[] {
  const given: Record<string, boolean> = {
    SENTRY_DSN: config.SENTRY_DSN !== undefined,
  };
  return Object.keys(given).filter((name) => given[name]);
}
