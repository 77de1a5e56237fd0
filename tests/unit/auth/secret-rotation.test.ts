import { randomBytes } from 'node:crypto';
import type { Request, Response } from 'express';
import jwt from 'jsonwebtoken';
import type * as Passport from '../../../server/http/middleware/passport';

const [CURRENT, FORMER, FOREIGN] = [0, 1, 2].map(() => randomBytes(32).toString('base64url')) as [string, string, string];
const now = Math.floor(Date.now() / 1000);
const claims = {
  sub: 'staff-1',
  role: 'Owner',
  tenant_id: '00000000-0000-0000-0000-000000000001',
  sid: '3b241101-e2bb-4255-8caf-4136c566a962',
  jti: 'one',
  typ: 'access',
  iat: now,
  exp: now + 60,
};

describe('while the key of access tokens is being changed', () => {
  let passport: typeof Passport;
  beforeAll(() => {
    // The configuration is read at import, so the module comes after the keys are known.
    Object.assign(process.env, { JWT_SECRET: CURRENT, JWT_SECRET_PREVIOUS: FORMER });
    passport = jest.requireActual<typeof Passport>('../../../server/http/middleware/passport');
  });
  const verify = (token: string) => passport.verifyToken({ headers: { authorization: `Bearer ${token}` } } as Request, {} as Response);

  it.each([
    ['the current key', CURRENT, null],
    ['the former key', FORMER, null],
    ['another key', FOREIGN, 'invalid_token'],
  ])('signed with %s', async (_name, key, refusal) => {
    const { failure } = await verify(jwt.sign(claims, key, { algorithm: 'HS256' }));
    expect(failure?.code ?? null).toBe(refusal);
  });

  it('expired under the former key › token_expired, so that a browser is renewed', async () => {
    const { failure } = await verify(jwt.sign({ ...claims, exp: now - 60 }, FORMER, { algorithm: 'HS256' }));
    expect(failure?.code).toBe('token_expired');
  });

  it('HS512 or none under the former key › refused', async () => {
    expect((await verify(jwt.sign(claims, FORMER, { algorithm: 'HS512' }))).failure?.code).toBe('invalid_token');
    expect((await verify(jwt.sign(claims, '', { algorithm: 'none' }))).failure?.code).toBe('invalid_token');
  });
});
