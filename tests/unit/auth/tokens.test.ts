import { createServer } from 'node:http';
import type { Request, Response } from 'express';
import jwt from 'jsonwebtoken';
import { config } from '../../../config';
import { ACCESS_COOKIE } from '../../../lib/session-cookies';
import {
  ACCESS_TOKEN_SECONDS,
  hashOpaqueToken,
  isCsrfToken,
  newCsrfToken,
  newOpaqueToken,
  newSalt,
  signAccessToken,
  successorToken,
} from '../../../lib/tokens';
import { carrierOf, verifyToken } from '../../../server/http/middleware/passport';

const TENANT_ID = '00000000-0000-0000-0000-000000000001';
const SID = '3b241101-e2bb-4255-8caf-4136c566a962';
const now = () => Math.floor(Date.now() / 1000);
const claims = () => ({
  sub: 'staff-1',
  role: 'Owner',
  tenant_id: TENANT_ID,
  sid: SID,
  jti: 'one',
  typ: 'access',
  iat: now(),
  exp: now() + 60,
});
const sign = (payload: object, options: jwt.SignOptions = {}, secret = config.JWT_SECRET) =>
  jwt.sign(payload, secret, { algorithm: 'HS256', ...options });

const requestWith = (headers: Record<string, string>): Request => ({ headers }) as unknown as Request;
const verify = (token: string) => verifyToken(requestWith({ authorization: `Bearer ${token}` }), {} as Response);

describe('verifyToken', () => {
  it('a token of ours › accepted › its claims, 15 minutes long', async () => {
    const { token, expiresAt } = signAccessToken({ sub: 'staff-1', role: 'Advisor', tenantId: TENANT_ID, sid: SID });
    const { claims: found } = await verify(token);
    expect(found).toMatchObject({ sub: 'staff-1', role: 'Advisor', tenant_id: TENANT_ID, sid: SID, typ: 'access', exp: expiresAt });
    expect(expiresAt - (found?.iat ?? 0)).toBe(ACCESS_TOKEN_SECONDS);
  });

  it('two tokens of one session › different ids', () => {
    const facts = { sub: 's', role: 'Owner', tenantId: TENANT_ID, sid: SID } as const;
    expect(signAccessToken(facts).token).not.toBe(signAccessToken(facts).token);
  });

  const { exp: _exp, ...endless } = claims();
  const { role: _role, ...roleless } = claims();
  const { typ: _typ, ...typeless } = claims();
  const { sid: _sid, ...sessionless } = claims();
  const { tenant_id: _tenant, ...tenantless } = claims();
  const unsigned = (payload: object) =>
    `${[{ alg: 'none', typ: 'JWT' }, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;

  it.each([
    ['signed with another key', sign(claims(), {}, 'another-key-that-is-long-enough-for-hs256')],
    ['the none algorithm', unsigned(claims())],
    ['HS512 with our key', sign(claims(), { algorithm: 'HS512' })],
    ['HS384 with our key', sign(claims(), { algorithm: 'HS384' })],
    ['no exp', sign(endless)],
    ['no role', sign(roleless)],
    ['no typ', sign(typeless)],
    ['no sid', sign(sessionless)],
    ['no tenant', sign(tenantless)],
    ['a refresh token by type', sign({ ...claims(), typ: 'refresh' })],
    ['an unknown role', sign({ ...claims(), role: 'Admin' })],
    ['an sid that is no UUID', sign({ ...claims(), sid: "x' OR 1=1" })],
    ['not yet valid', sign({ ...claims(), nbf: now() + 60 })],
    ['no token at all', 'junk'],
    ['three dots of nothing', '..'],
    ['a changed payload', tampered(sign(claims()))],
  ])('%s › refused as invalid_token', async (_name, token) => {
    expect(await verify(token)).toMatchObject({ claims: null, failure: { status: 401, code: 'invalid_token', message: 'Invalid token' } });
  });

  function tampered(token: string): string {
    const [head, , signature] = token.split('.');
    return [head, Buffer.from(JSON.stringify({ ...claims(), sub: 'somebody-else' })).toString('base64url'), signature].join('.');
  }

  it('expired › token_expired; within five seconds of leeway still accepted', async () => {
    expect(await verify(sign({ ...claims(), exp: now() - 8 }))).toMatchObject({
      claims: null,
      failure: { status: 401, code: 'token_expired', message: 'Token has expired' },
    });
    expect((await verify(sign({ ...claims(), exp: now() - 2 }))).claims).not.toBeNull();
  });

  it('expired and signed with another key › invalid, so that it is not renewed', async () => {
    const token = sign({ ...claims(), exp: now() - 60 }, {}, 'another-key-that-is-long-enough-for-hs256');
    expect((await verify(token)).failure?.code).toBe('invalid_token');
  });
});

describe('carrierOf', () => {
  const cookie = `${ACCESS_COOKIE}=from-cookie`;
  it.each([
    [
      { authorization: 'Bearer abc', cookie },
      { token: 'abc', via: 'bearer' },
    ],
    [
      { authorization: 'bearer   abc  ', cookie },
      { token: 'abc', via: 'bearer' },
    ],
    [
      { authorization: 'Bearer', cookie },
      { token: 'from-cookie', via: 'cookie' },
    ],
    [
      { authorization: 'Bearer ', cookie },
      { token: 'from-cookie', via: 'cookie' },
    ],
    [
      { authorization: '', cookie },
      { token: 'from-cookie', via: 'cookie' },
    ],
    [
      { authorization: 'Basic dXNlcjpwYXNz', cookie },
      { token: 'from-cookie', via: 'cookie' },
    ],
    [{ cookie: `${ACCESS_COOKIE}=` }, null],
    [{}, null],
  ])('%p › %p', (headers, expected) => {
    expect(carrierOf(requestWith(headers as Record<string, string>))).toEqual(expected);
  });

  it('an empty bearer as it arrives over the wire › falls through to the cookie', async () => {
    const seen = await new Promise((resolve, reject) => {
      const server = createServer((req, res) => {
        resolve(carrierOf(req as unknown as Request));
        res.end(() => server.close());
      }).listen(0, '127.0.0.1', () => {
        const { port } = server.address() as { port: number };
        fetch(`http://127.0.0.1:${port}/`, { headers: { authorization: 'Bearer ', cookie } }).catch(reject);
      });
    });
    expect(seen).toEqual({ token: 'from-cookie', via: 'cookie' });
  });
});

describe('opaque tokens', () => {
  it('a new one › 43 characters of 256 random bits, stored as SHA-256 hex', () => {
    const token = newOpaqueToken();
    expect(token).toMatch(/^[\w-]{43}$/);
    expect(newOpaqueToken()).not.toBe(token);
    expect(hashOpaqueToken(token)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('the successor › the same for the same salt, of the same form, another for another salt', () => {
    const [token, salt] = [newOpaqueToken(), newSalt()];
    expect(successorToken(token, salt)).toBe(successorToken(token, salt));
    expect(successorToken(token, salt)).toMatch(/^[\w-]{43}$/);
    expect(successorToken(token, newSalt())).not.toBe(successorToken(token, salt));
  });

  it('CSRF tokens › 32 hex characters, nothing else is one', () => {
    expect(isCsrfToken(newCsrfToken())).toBe(true);
    for (const value of [undefined, '', 'x'.repeat(32), `${newCsrfToken()}0`, newCsrfToken().toUpperCase().replace(/\d/g, 'A')])
      expect(isCsrfToken(value)).toBe(false);
  });
});
