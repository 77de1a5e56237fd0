import fc from 'fast-check';
import { isLocalUrl, parsePostgresUrl } from '../../../config/postgres-url';

describe('parsePostgresUrl', () => {
  test('one host › its parts, decoded, default port, any session', () => {
    expect(parsePostgresUrl('postgres://me:p%40ss%2Fword@db.internal/shop')).toEqual({
      hosts: [{ host: 'db.internal', port: 5432 }],
      database: 'shop',
      user: 'me',
      password: 'p@ss/word',
      sessionAttributes: 'any',
      ssl: undefined,
    });
  });

  test.each([
    [
      'postgres://u@h1:1,h2:2/d',
      [
        ['h1', 1],
        ['h2', 2],
      ],
    ],
    [
      'postgresql://u@h1,[::1]:7,10.0.0.1/d',
      [
        ['h1', 5432],
        ['::1', 7],
        ['10.0.0.1', 5432],
      ],
    ],
    ['postgres:///d?host=/var/run/postgresql', [['/var/run/postgresql', 5432]]],
    // Never the empty host: the driver would take PGHOST, wherever that is.
    ['postgres://u:p@/d', [['localhost', 5432]]],
    ['postgres://u:p@/d?host=', [['localhost', 5432]]],
    [
      'postgres://x:9/d?host=h1,h2&port=5,6',
      [
        ['h1', 5],
        ['h2', 6],
      ],
    ],
    [
      'postgres://h1,h2/d?port=6432',
      [
        ['h1', 6432],
        ['h2', 6432],
      ],
    ],
  ] as [string, [string, number][]][])('%s › its hosts in order', (url, hosts) => {
    expect(parsePostgresUrl(url).hosts).toEqual(hosts.map(([host, port]) => ({ host, port })));
  });

  test('several hosts › a session that can write is wanted, unless the URL says otherwise', () => {
    expect(parsePostgresUrl('postgres://h1,h2/d').sessionAttributes).toBe('read-write');
    expect(parsePostgresUrl('postgres://h1,h2/d?target_session_attrs=any').sessionAttributes).toBe('any');
    expect(parsePostgresUrl('postgres://h1/d?target_session_attrs=primary').sessionAttributes).toBe('primary');
  });

  test.each([
    ['disable', 'off'],
    ['require', 'require'],
    ['verify-ca', 'verify'],
    ['verify-full', 'verify'],
  ])('sslmode=%s › %s', (mode, ssl) => {
    expect(parsePostgresUrl(`postgres://h/d?sslmode=${mode}`).ssl).toBe(ssl);
  });

  test.each([
    ['mysql://h/d', 'is not a PostgreSQL URL'],
    ['nonsense', 'is not a PostgreSQL URL'],
    ['postgres://h:port/d', 'has a host that cannot be read'],
    ['postgres://h:70000/d', 'has a port that is none'],
    ['postgres://h:0/d', 'has a port that is none'],
    ['postgres://u:50%@h/d', 'has a percent sign that encodes nothing: write %25'],
    ['postgres://h1,h2,h3/d?port=1,2', 'names as many ports as hosts, or one for all'],
    ['postgres://h/d?sslmode=prefer', 'has an sslmode other than disable, require, verify-ca, verify-full'],
    [
      'postgres://h/d?target_session_attrs=prefer-standby',
      'has a target_session_attrs other than any, read-write, primary, read-only, standby',
    ],
    ['postgres://h/d?pool_size=3', 'has a parameter that is not supported: pool_size'],
  ])('%s › refused, in words that do not repeat it', (url, problem) => {
    expect(() => parsePostgresUrl(url)).toThrow(new Error(problem));
  });

  test('property › what is put together is read back, however odd user, password and database are', () => {
    const host = fc.constantFrom('db', 'db.internal', '10.1.2.3', 'localhost');
    const hosts = fc.array(fc.tuple(host, fc.integer({ min: 1, max: 65_535 })), { minLength: 1, maxLength: 4 });
    const word = fc.string({ unit: 'grapheme' });
    fc.assert(
      fc.property(hosts, word, word, word, (all, user, password, database) => {
        const e = encodeURIComponent;
        const url = `postgres://${e(user)}:${e(password)}@${all.map((pair) => pair.join(':')).join(',')}/${e(database)}`;
        expect(parsePostgresUrl(url)).toMatchObject({ user, password, database, hosts: all.map(([name, port]) => ({ host: name, port })) });
      }),
    );
  });
});

test.each([
  ['postgres://localhost/a', true],
  ['postgres://127.0.0.1:5432/a', true],
  ['postgres://[::1]/a', true],
  ['postgres:///a?host=/var/run/postgresql', true],
  ['postgres://db/a?host=/var/run/postgresql', true],
  ['postgres://localhost:1,127.0.0.1:2/a', true],
  ['postgres://localhost:1,db.internal:2/a', false],
  ['postgres://db.internal/a', false],
  ['postgres://localhost.example.com/a', false],
  ['postgres://127.0.0.1@db.internal/a', false],
  ['postgres://localhost/a?host=db.internal', false],
  ['nonsense', false],
])('isLocalUrl(%s) › %s', (url, local) => {
  expect(isLocalUrl(url)).toBe(local);
});
