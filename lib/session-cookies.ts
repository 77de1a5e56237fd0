/** Names and lifetimes of the cookies. The names have an underscore: they are not the browser's `__Host-` prefix, so plain http on localhost works. */
import { ACCESS_TOKEN_SECONDS, REFRESH_TOKEN_SECONDS } from './tokens';

export const ACCESS_COOKIE = '__Host_access_token';
export const REFRESH_COOKIE = '__Host_refresh_token';
/** Readable by script, which repeats it in the X-CSRF-Token header. */
export const CSRF_COOKIE = 'XSRF-TOKEN';
const CSRF_SECONDS = 8 * 60 * 60;

export interface SessionCookie {
  name: string;
  /** null expires the cookie at once. */
  value: string | null;
  maxAgeSeconds: number;
  httpOnly: boolean;
}

export const accessCookie = (token: string | null): SessionCookie => ({
  name: ACCESS_COOKIE,
  value: token,
  maxAgeSeconds: ACCESS_TOKEN_SECONDS,
  httpOnly: true,
});

export const refreshCookie = (token: string | null): SessionCookie => ({
  name: REFRESH_COOKIE,
  value: token,
  maxAgeSeconds: REFRESH_TOKEN_SECONDS,
  httpOnly: true,
});

export const csrfCookie = (value: string | null): SessionCookie => ({
  name: CSRF_COOKIE,
  value,
  maxAgeSeconds: CSRF_SECONDS,
  httpOnly: false,
});

/** What a log-out leaves behind: nothing. */
export const clearedCookies = (): SessionCookie[] => [accessCookie(null), refreshCookie(null), csrfCookie(null)];
