import { describeConfig, describeVariables } from '../../../config/describe';
import { environmentSchema, SECRET_VARIABLES } from '../../../config/env';
import { loadConfig } from '../../../config/load';

test('describeVariables › every variable, its kind and default as one would write them', () => {
  const all = describeVariables();
  expect(all.map(({ name }) => name)).toEqual(Object.keys(environmentSchema.shape));
  const of = (name: string) => all.find((variable) => variable.name === name);
  expect(of('WORKER_TIMEOUT')).toMatchObject({ kind: 'seconds', fallback: '30', secret: false });
  expect(of('JOBS')).toMatchObject({ kind: 'true/false', fallback: 'true' });
  expect(of('RATE_LIMIT_LOGIN')).toMatchObject({ kind: 'count/seconds', fallback: '10/300' });
  expect(of('DISPATCH')).toMatchObject({ kind: 'least \\| rr', fallback: 'least' });
  expect(of('LOG_LEVEL')).toMatchObject({ fallback: 'INFO' });
  expect(of('JWT_SECRET')).toMatchObject({ kind: 'text', fallback: undefined, secret: true });
  expect(of('DEFAULT_TENANT_ID')).toMatchObject({ kind: 'UUID', fallback: '00000000-0000-0000-0000-000000000001' });
});

test('describeVariables › each default is accepted as that variable', () => {
  const env = Object.fromEntries(describeVariables().flatMap(({ name, fallback }) => (fallback === undefined ? [] : [[name, fallback]])));
  expect({ ...loadConfig(env), workersSource: '' }).toEqual({ ...loadConfig({}), workersSource: '' });
});

test('describeConfig › secrets masked, passwords in URLs masked, the rest readable', () => {
  const secrets = {
    JWT_SECRET: 'aaaabbbbccccddddeeeeffff0123456789',
    JWT_SECRET_PREVIOUS: 'zzzzbbbbccccddddeeeeffff0123456789',
    OPS_TOKEN: 'token-0123456789abcdef',
    DATABASE_URL: 'postgres://app:s3cr3tA@db:5433/shop?sslmode=verify-full',
    DATABASE_MIGRATION_URL: 'postgres://owner:s3cr3tC@db/shop',
    DATABASE_REPLICA_URLS: 'postgres://r:s3cr3tD@r1/shop,postgres://r:s3cr3tE@r2/shop',
    PGBOUNCER_ADMIN_URL: 'postgres://watch:s3cr3tK@h1:1,h2:2/pgbouncer',
    POSTGRES_PASSWORD: 's3cr3tF',
    REDIS_URL: 'redis://:s3cr3tG@cache',
    SENTRY_DSN: 'https://s3cr3tH@sentry/1',
    SMTP_URL: 'smtp://mail:s3cr3tI@mail',
    SMS_TOKEN: 's3cr3tJ',
  };
  expect(Object.keys(secrets).sort()).toEqual([...SECRET_VARIABLES].sort());
  const shown = describeConfig(loadConfig({ ...secrets, RATE_LIMIT_ANON: '7/60', LOG_LEVEL: 'WARNING' }));
  const text = JSON.stringify(shown);
  for (const word of ['s3cr3t', 'cccc', 'token-']) expect(text).not.toContain(word);
  expect(shown).toMatchObject({
    JWT_SECRET: '••••••',
    DATABASE_URL: 'postgres://app:••••••@db:5433/shop',
    PGBOUNCER_ADMIN_URL: 'postgres://watch:••••••@h1:1,h2:2/pgbouncer',
    RATE_LIMIT_ANON: '7/60',
    LOG_LEVEL: 'warn',
    PORT: '3001',
  });
  expect(shown).not.toHaveProperty('STATIC_DIR');
});
