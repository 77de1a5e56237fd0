/** The server of a worker, with a listener that only counts: what reaches an application, and what is answered in its place. */
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type ConnectionBounds, createHttpServer } from '../../../server/http/http-server';
import { lifecycle } from '../../../server/lifecycle';
import { attempt, parseAnswers, seeded } from '../../support/raw-client';
import { RAW_REQUESTS } from '../../support/raw-requests';
import { standStill } from '../../support/stand-still';

const BOUNDS: ConnectionBounds = { max: 1_000, maxPerAddress: 0, maxRequests: 0 };
const servers: Server[] = [];

async function serve(listener: RequestListener, bounds: Partial<ConnectionBounds> = {}): Promise<number> {
  const server = createHttpServer(listener, { ...BOUNDS, ...bounds });
  servers.push(server);
  lifecycle.attach(server);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

const answer: RequestListener = (request, response) => {
  request.resume().on('end', () => response.setHeader('Content-Length', 2).end('ok'));
  request.on('error', () => undefined);
};

async function open(port: number): Promise<{ socket: Socket; text: () => string }> {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let text = '';
  socket.on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, text: () => text };
}

test.each(['whole', 'random'] as const)(
  'requests as bytes, sent %s › the answers that each must get, nothing behind a fault is executed',
  async (how) => {
    const marks = new Map<string, number>();
    const port = await serve((request, response) => {
      request.resume().on('error', () => undefined);
      request.on('end', () => {
        const id = new URL(request.url ?? '', 'http://shop').searchParams.get('id') ?? '';
        marks.set(id, (marks.get(id) ?? 0) + 1);
        response.setHeader('Content-Length', 2).end('ok');
      });
    });
    const random = seeded(7);
    const seen: unknown[] = [];
    await Promise.all(
      RAW_REQUESTS.map(async (each, index) => {
        const { statuses, closed, rest, id } = await attempt(port, each, { how, random, id: `c${index}` });
        seen[index] = { name: each.name, answers: statuses, after: closed ? 'close' : 'open', marks: marks.get(id) ?? 0, rest };
      }),
    );
    expect(seen).toEqual(
      RAW_REQUESTS.map(({ name, answers, after, marks: executed }) => ({ name, answers, after, marks: executed, rest: '' })),
    );
    expect(marks.has('body')).toBe(false);
  },
);

test('a refusal at this level › the envelope of every other refusal, and the end of the connection', async () => {
  const port = await serve(answer);
  const { socket, text } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: a b\r\n\r\n');
  await once(socket, 'close');
  const { last } = parseAnswers(text());
  const [head = '', body = ''] = last.split('\r\n\r\n');
  expect(head).toMatch(/\r\nConnection: close\r\n/);
  const { correlation_id: id, ...rest } = JSON.parse(body) as Record<string, unknown>;
  expect(head).toContain(`X-Request-Id: ${id}`);
  expect(rest).toEqual({
    ok: false,
    data: null,
    error: { code: 'bad_request', message: 'The Host header is malformed' },
    message: 'The Host header is malformed',
    meta: { request_id: id },
  });
});

test('noise behind a request that is being answered › the answer first, whole, then the end', async () => {
  let finish = () => {};
  const port = await serve((_request, response) => {
    finish = () => response.setHeader('Content-Length', 2).end('ok');
  });
  const { socket, text } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n');
  socket.write('\0\0\0\0');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(text()).toBe('');
  finish();
  await once(socket, 'close');
  expect(parseAnswers(text())).toMatchObject({ statuses: [200], rest: '' });
});

test('the process stood still for longer than connections are kept › the request that came meanwhile is answered', async () => {
  const port = await serve(answer);
  // Node adds a second to it.
  (servers.at(-1) as Server).keepAliveTimeout = 100;
  const { socket, text } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n');
  await once(socket, 'data');
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n');
  standStill(1_300);
  await once(socket, 'close');
  expect(parseAnswers(text())).toMatchObject({ statuses: [200, 200], rest: '' });
});

test('a number of requests for each connection › the last answer says close, and what follows it is not begun', async () => {
  let begun = 0;
  const port = await serve(
    (request, response) => {
      begun += 1;
      answer(request, response);
    },
    { maxRequests: 5 },
  );
  const { socket, text } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n'.repeat(9));
  await once(socket, 'close');
  const { statuses, last, rest } = parseAnswers(text());
  expect([statuses, rest]).toEqual([[200, 200, 200, 200, 200], '']);
  expect(last).toMatch(/\r\nConnection: close\r\n/);
  expect(begun).toBe(5);
  expect(lifecycle.inFlight).toBe(0);
});

test('an answer that announces the end has begun › what comes behind it is not begun, and the answer is whole', async () => {
  let begun = 0;
  let finish = () => {};
  const port = await serve((_request, response) => {
    begun += 1;
    response.shouldKeepAlive = false;
    response.writeHead(200, { 'Content-Length': 2 }).write('o');
    finish = () => response.end('k');
  });
  const { socket, text } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n'.repeat(3));
  while (!text().endsWith('o')) await once(socket, 'data');
  finish();
  await once(socket, 'close');
  expect(parseAnswers(text())).toMatchObject({ statuses: [200], rest: '' });
  expect(begun).toBe(1);
  expect(lifecycle.inFlight).toBe(0);
});

test('more connections than allowed › 503 and the end for those beyond, room again when one has ended', async () => {
  const port = await serve(answer, { max: 2 });
  const [first, second] = [await open(port), await open(port)];
  const third = await open(port);
  await once(third.socket, 'close');
  expect(parseAnswers(third.text()).statuses).toEqual([503]);
  expect(third.text()).toMatch(/\r\nRetry-After: 1\r\n/);
  first.socket.destroy();
  const agent = new Agent({ keepAlive: false });
  const status = async () =>
    new Promise<number | undefined>((resolve) => {
      get({ port, agent, host: '127.0.0.1' }, (response: IncomingMessage) => resolve(response.resume().statusCode)).on('error', () =>
        resolve(undefined),
      );
    });
  let seen = await status();
  while (seen !== 200) seen = await status();
  second.socket.destroy();
});

test('more connections of one address than allowed › 503 for those beyond', async () => {
  const port = await serve(answer, { maxPerAddress: 1 });
  const first = await open(port);
  const second = await open(port);
  await once(second.socket, 'close');
  expect(parseAnswers(second.text()).statuses).toEqual([503]);
  first.socket.destroy();
});

test('a client that goes away in the middle of pipelined requests › none of them stays in flight', async () => {
  let begun = 0;
  const port = await serve(() => {
    begun += 1;
  });
  const { socket } = await open(port);
  socket.write('GET / HTTP/1.1\r\nHost: shop\r\n\r\n'.repeat(3));
  while (begun < 3) await new Promise((resolve) => setImmediate(resolve));
  expect(lifecycle.inFlight).toBe(3);
  socket.destroy();
  while (lifecycle.connections.live > 0) await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(lifecycle.inFlight).toBe(0);
});
