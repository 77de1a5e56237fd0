import express from 'express';
import supertest from 'supertest';
import { endpoints } from '../../../routes';
import { openContext } from '../../../server/http/middleware/context';
import { observe } from '../../../server/http/middleware/observe';
import { classifier, shedOverload } from '../../../server/http/middleware/overload';
import { memoryLimitOf, OverloadMeter } from '../../../server/http/overload-meter';

const MEBIBYTE = 1024 * 1024;

/** A meter of a worker whose state is what the test says. */
function newMeter({ poolWaitLimitMs = 250, lagLimitMs = 150, memoryShare = 0.9 } = {}) {
  const state = { poolWaitMs: 0, rss: 0, now: 0 };
  const meter = new OverloadMeter({
    poolWaitLimitMs,
    lagLimitMs,
    memoryShare,
    memoryLimit: 1000,
    poolWaitMs: () => state.poolWaitMs,
    rss: () => state.rss,
    now: () => state.now,
  });
  return { meter, state };
}

function newApp(meter: OverloadMeter, dice: number) {
  const app = express();
  app.use(openContext, observe, shedOverload(endpoints, { meter, random: () => dice }));
  app.use((_req, res) => {
    res.json({ served: true });
  });
  return supertest(app);
}

describe('the gate', () => {
  test('no pressure › every request passes, and is counted', async () => {
    const { meter } = newMeter();
    const app = newApp(meter, 0);
    expect((await app.get('/api/appointments')).body).toEqual({ served: true });
    expect(meter.take()).toEqual({ offered: 1, shed: {} });
    expect(meter.take()).toEqual({ offered: 0, shed: {} });
  });

  test('a queue for connections far over the limit › 503 in the envelope, Retry-After, connection kept', async () => {
    const { meter, state } = newMeter();
    state.poolWaitMs = 1_000;
    const { status, headers, body } = await newApp(meter, 0.99)
      .post('/api/appointments')
      .set('Connection', 'keep-alive')
      .send({ any: 'body' });
    expect(status).toBe(503);
    expect(headers).toMatchObject({ 'retry-after': '5', 'cache-control': 'no-store' });
    expect(headers['connection']).toBe('keep-alive');
    expect(body).toMatchObject({ ok: false, data: null, error: { code: 'unavailable' }, retry_after: 5 });
    expect(meter.take()).toEqual({ offered: 1, shed: { pool_wait: 1 } });
  });

  test('a third over the limit › two in three of the normal ones, all reports, no log-in and no check-in', async () => {
    const { meter, state } = newMeter();
    state.poolWaitMs = (250 * 4) / 3;
    const [lucky, unlucky] = [newApp(meter, 0.7), newApp(meter, 0.6)];
    expect((await lucky.get('/api/appointments')).status).toBe(200);
    expect((await unlucky.get('/api/appointments')).status).toBe(503);
    expect((await lucky.get('/api/admin/reports/payments.csv')).status).toBe(503);
    expect((await unlucky.post('/api/admin/login')).status).toBe(200);
    expect((await unlucky.post('/api/appointments/7/check-in')).status).toBe(200);
  });

  test('memory near the limit › refused for memory; back below › served again', async () => {
    const { meter, state } = newMeter();
    state.rss = 1_000;
    meter.tick();
    const app = newApp(meter, 0.5);
    expect((await app.get('/api/vehicles')).status).toBe(503);
    state.rss = 500;
    state.now = 10_000;
    meter.tick();
    expect((await app.get('/api/vehicles')).status).toBe(200);
    expect(meter.take().shed).toEqual({ memory: 1 });
  });

  test('limits of 0 › nothing is refused, however great the overload', async () => {
    const { meter, state } = newMeter({ poolWaitLimitMs: 0, lagLimitMs: 0, memoryShare: 0 });
    Object.assign(state, { poolWaitMs: 60_000, rss: 5_000 });
    for (const now of [1_000, 2_000, 3_000]) {
      state.now = now;
      meter.tick();
    }
    state.now = 9_000;
    expect((await newApp(meter, 0).get('/api/admin/reports/payments.csv')).status).toBe(200);
  });
});

describe('the class of a request', () => {
  const classify = classifier(endpoints, true);

  test.each([
    ['GET', '/api/admin/export/customers', 'background'],
    ['HEAD', '/api/admin/export/customers', 'background'],
    ['GET', '/api/admin/analytics/revenue', 'background'],
    ['GET', '/api/vehicles', 'normal'],
    ['POST', '/api/appointments', 'critical'],
    ['POST', '/api/auth/login', null],
    ['POST', '/api/auth/refresh', null],
    ['GET', '/api/nowhere', 'normal'],
    ['DELETE', '/api/auth/login', 'normal'],
    ['GET', '/assets/app-1a2b.js', null],
  ])('%s %s › %s', (method, path, expected) => {
    expect(classify(method, path)).toBe(expected);
  });

  test('an undecodable parameter › judged like any other, and refused later', () => {
    expect(classify('GET', '/api/vehicles/%zz')).toBe('normal');
  });

  test('files are not served › an unknown path is normal', () => {
    expect(classifier(endpoints, false)('GET', '/assets/app-1a2b.js')).toBe('normal');
  });
});

test('what a worker may use › half as much again as WORKER_MAX_RSS_MB; else its part of the machine', () => {
  expect(memoryLimitOf({ WORKER_MAX_RSS_MB: 200, WORKERS: 4 })).toBe(300 * MEBIBYTE);
  expect(memoryLimitOf({ WORKER_MAX_RSS_MB: 0, WORKERS: 4 })).toBeGreaterThan(0);
  expect(memoryLimitOf({ WORKER_MAX_RSS_MB: 0, WORKERS: 1 })).toBeGreaterThan(memoryLimitOf({ WORKER_MAX_RSS_MB: 0, WORKERS: 4 }));
});
