/**
 * The real application in this process, on port 0, with the database of this jest worker. Each agent is a client of its own: own
 * cookies, and own address (X-Forwarded-For from a trusted proxy), so the real rate limits apply to each test alone.
 */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import supertest from 'supertest';
import { config } from '../../config';
import { MemoryReplies } from '../../lib/cache/memory-replies';
import { RedisReplies } from '../../lib/cache/redis-replies';
import { failed, replyBackend, setReplyBackend } from '../../lib/cache/replies';
import { closeDatabase, openDatabase } from '../../lib/db';
import { askRedis, closeRedis, redisReadyWithin } from '../../lib/redis';
import { connectRevocationRelay } from '../../lib/revocation-relay';
import { createApp } from '../../server/http/app';
import { closeLater } from './closers';
import { afterAdminStatements } from './database';
import type { Customer, Staff } from './factories';

const POOL = { poolMin: 1, poolMax: 5 };
const REDIS_MS = 10_000;

export type Agent = InstanceType<typeof supertest.agent>;

export interface TestApp {
  readonly url: string;
  /** An anonymous client. */
  agent(): Agent;
  close(): Promise<void>;
}

/** Makes the application compute every reply anew. */
export async function forgetReplies(): Promise<void> {
  const replies = replyBackend();
  if (replies instanceof MemoryReplies) replies.clear();
  if (!(replies instanceof RedisReplies)) return;
  const keys = await askRedis((client) => client.keys('autoshop:reply*'));
  if (keys.length > 0) await askRedis((client) => client.del(...keys));
}

/** As a worker does, where the run has a Redis: limits, replies and revocations go there. Returns the function that ends it. */
async function joinRedis(): Promise<() => Promise<void>> {
  if (config.REDIS_URL === undefined) return async () => undefined;
  const disconnect = connectRevocationRelay();
  const before = replyBackend();
  const replies = new RedisReplies({ onError: failed });
  if (before !== null) setReplyBackend(replies);
  if (!(await redisReadyWithin(REDIS_MS))) throw new Error('The Redis of this run does not answer');
  return async () => {
    disconnect();
    replies.close();
    setReplyBackend(before);
    await closeRedis();
  };
}

/** Starts the app; closed with the test file, or before by `close`. Once for a file: call it in `beforeAll`. */
export async function startApp(): Promise<TestApp> {
  await openDatabase(POOL);
  const leaveRedis = await joinRedis();
  afterAdminStatements(forgetReplies);
  const server = createServer(createApp());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let closing: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
    await leaveRedis();
    await closeDatabase();
  };
  const close = (): Promise<void> => {
    closing ??= stop();
    return closing;
  };
  closeLater(close);
  return { url, close, agent: () => supertest.agent(url).set('X-Forwarded-For', someAddress()) };
}

/** An address of 10.0.0.0/8; two clients share one once in sixteen million. */
const someAddress = (): string => `10.${randomInt(256)}.${randomInt(256)}.${randomInt(1, 255)}`;

export interface Session {
  readonly agent: Agent;
  readonly token: string;
}

type Account = Pick<Staff, 'email' | 'password' | 'tenant'> | Pick<Customer, 'email' | 'password' | 'tenant'>;

/**
 * Logs in by the API and gives a client that sends the token and the tenant with every request. @throws Error when refused
 */
export async function login(app: TestApp, { email, password, tenant }: Account): Promise<Session> {
  const agent = app.agent().set('X-Tenant-Id', tenant.id);
  const { token } = await postLogin(agent, { email, password, tenant });
  return { agent: app.agent().set('X-Tenant-Id', tenant.id).set('Authorization', `Bearer ${token}`), token };
}

/** Logs in as a browser does: cookies, and the CSRF token in the header of every request. */
export async function loginWithCookies(app: TestApp, account: Account): Promise<Session & { csrf: string }> {
  const agent = app.agent().set('X-Tenant-Id', account.tenant.id);
  const { token, cookies } = await postLogin(agent, account);
  const csrf = cookies.map((cookie) => /^XSRF-TOKEN=([^;]+)/.exec(cookie)?.[1]).find(Boolean);
  if (!csrf) throw new Error(`No XSRF-TOKEN cookie among ${JSON.stringify(cookies)}`);
  return { agent: agent.set('X-CSRF-Token', csrf), token, csrf };
}

async function postLogin(agent: Agent, { email, password }: Account): Promise<{ token: string; cookies: string[] }> {
  const response = await agent.post('/api/auth/login').send({ email, password });
  if (response.status !== 200) throw new Error(`Log-in of ${email} refused: ${response.status} ${response.text}`);
  const cookies = (response.headers['set-cookie'] ?? []) as unknown as string[];
  return { token: (response.body as { data: { token: string } }).data.token, cookies };
}
