import { ineffectiveSettings } from '../../../config/ineffective';
import { loadConfig } from '../../../config/load';

test('settings without effect › named when given, and only then', () => {
  expect(ineffectiveSettings(loadConfig({ NODE_ENV: 'test' }))).toEqual([]);
  const given = { NODE_ENV: 'test', SENTRY_DSN: 'https://k@sentry.example/1' };
  expect(ineffectiveSettings(loadConfig(given))).toEqual(['SENTRY_DSN']);
});
