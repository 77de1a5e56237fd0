/**
 * The files of a built single-page application beside the API. A file whose name carries a hash never changes, so it is kept
 * for a year; every other one is asked for again each time and answered 304. A page that is no file is the application's
 * own: it gets index.html. Comes behind the endpoints, so a file can never stand in front of one.
 */
import { existsSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { compress } from './send';

const INDEX = '/index.html';
const IMMUTABLE = 'public, max-age=31536000, immutable';
const REVALIDATED = 'no-cache';
/** What bundlers put before the ending: eight characters or more behind `-` or `.`, with a digit or a capital among them. */
const HASH = /[-.](?=[\w-]*[0-9A-Z])[\w-]{8,}(?:\.[a-z0-9]{1,8})+$/;
/** Folders that hold nothing but what a bundler named. */
const BUNDLED = /^\/(?:assets|static|_app|chunks)\//;
/** Hexadecimal with digits and letters is a hash anywhere; a date is not. */
const HEX_HASH = /[-.](?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}(?:\.[a-z0-9]{1,8})+$/;
/** Libraries of interfaces write styles into the page, and pictures into the styles. */
const PAGE_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; " +
  "base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/** True for a path (from the folder's root) whose name says of which content it is. */
export const isHashed = (path: string): boolean => HEX_HASH.test(path) || (BUNDLED.test(path) && HASH.test(path));

/** A browser that goes to a page, not a script that fetches something which does not exist. */
function isNavigation({ path, headers }: Request): boolean {
  if (/\.[a-z0-9]{1,8}$/i.test(path)) return false;
  return path === '/' || headers['sec-fetch-mode'] === 'navigate' || (headers.accept ?? '').includes('text/html');
}

const isApi = (path: string): boolean => path === '/api' || path.startsWith('/api/');

function setHeaders(response: Response, path: string): void {
  response.setHeader('Cache-Control', isHashed(path) ? IMMUTABLE : REVALIDATED);
  if (path.endsWith('.html')) response.setHeader('Content-Security-Policy', PAGE_POLICY);
}

/**
 * Serves `directory`; what is neither a file nor a page goes on to the next handler.
 * @throws Error when there is no index.html in it
 */
export function staticFiles(directory: string): RequestHandler {
  const root = resolve(directory);
  if (!existsSync(join(root, INDEX))) throw new Error(`STATIC_DIR has no index.html: ${root}`);
  const files = express.static(root, {
    index: false,
    redirect: false,
    dotfiles: 'ignore',
    cacheControl: false,
    // A part of a compressed file is no part of the file.
    acceptRanges: false,
    setHeaders: (response, file) => setHeaders(response as Response, file.slice(root.length).replaceAll(sep, '/')),
  });
  return (req, res, next) => {
    if ((req.method !== 'GET' && req.method !== 'HEAD') || isApi(req.path)) {
      next();
      return;
    }
    req.state.route = 'static';
    compress(req, res, () => {
      files(req, res, (error?: unknown) => {
        if (error) return next(error);
        if (!isNavigation(req)) {
          req.state.route = undefined;
          return next();
        }
        req.url = INDEX;
        return files(req, res, next);
      });
    });
  };
}
