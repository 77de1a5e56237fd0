/** What may never reach a log, and how lines look. */
import fc from 'fast-check';
import { redact } from '../../../lib/log';

const TOKEN = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvd25lciIsInJvbGUiOiJPd25lciJ9.c2lnbmF0dXJl';

test.each([
  ['a password', { password: 'hunter2' }],
  ['a nested token', { reply: { data: [{ refresh_token: 'abc' }] } }],
  ['an authorization header', { headers: { Authorization: 'Bearer abcdefghij' } }],
  ['a cookie', { cookie: 'a=b' }],
  ['an e-mail address', { customer: { email: 'someone@example.com' } }],
  ['a phone number', { phone: '+15551234567' }],
  ['a database address', { database_url: 'postgres://user:pw@host/db' }],
])('%s by its key › only the word that it was removed', (_what, fields) => {
  const text = JSON.stringify(redact(fields));
  expect(text).toContain('[redacted]');
  for (const secret of ['hunter2', 'abc', 'a=b', 'someone@', '5551234567', 'pw@']) expect(text).not.toContain(secret);
});

test.each([
  ['a token', `refused ${TOKEN} today`, TOKEN],
  ['a bearer header', 'sent Bearer abcdefghijkl to it', 'abcdefghijkl'],
  ['credentials in a URL', 'cannot reach postgres://app:s3cret@db.internal:5432/shop', 's3cret'],
  ['a password hash', 'row $argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA found', 'c2FsdA'],
])('%s inside a text › replaced, the rest stays', (_what, text, secret) => {
  const clean = String(redact(text));
  expect(clean).toContain('[redacted]');
  expect(clean).not.toContain(secret);
  expect(clean.split(' ')[0]).toBe(text.split(' ')[0]);
});

test('an error with a cause › name, message and stack are there, and secrets in any of them are not', () => {
  const error = new Error(`bad ${TOKEN}`, { cause: new Error('postgres://app:s3cret@db/shop is down') });
  const clean = redact({ error }) as { error: { name: string; stack: string; cause: { message: string } } };
  expect(clean.error.name).toBe('Error');
  expect(clean.error.stack).toContain('log.test');
  expect(clean.error.cause.message).toContain('is down');
  expect(JSON.stringify(clean)).not.toMatch(/s3cret|eyJhbGci/);
});

test('values without a secret › stay as they are', () => {
  const plain = fc.dictionary(
    fc.constantFrom('ms', 'status', 'route', 'path', 'queries'),
    fc.oneof(fc.integer(), fc.boolean(), fc.stringMatching(/^[a-z /.-]{0,30}$/)),
  );
  fc.assert(fc.property(plain, (fields) => expect(redact(fields)).toEqual({ ...fields })));
});
