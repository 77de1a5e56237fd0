import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Lifecycle } from '../../../server/lifecycle';
import { standStill } from '../../support/stand-still';

jest.mock('../../../lib/log', () => ({ log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

let server: Server;
let lifecycle: Lifecycle;
let port: number;
let waiting: { answer: () => void; response: ServerResponse }[];
/** Whether each request to /over came when its connection was over. */
let over: boolean[];

beforeEach(async () => {
  waiting = [];
  over = [];
  lifecycle = new Lifecycle();
  server = createServer((incoming: IncomingMessage, response) => {
    if (incoming.url === '/begin') response.write('begun ');
    if (incoming.url === '/over') over.push(lifecycle.isOver(incoming.socket));
    if (['/wait', '/begin'].includes(incoming.url ?? '')) waiting.push({ answer: () => response.end('late'), response });
    else response.end('ok');
  });
  lifecycle.attach(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const get = (path: string, agent?: Agent): Promise<{ body: string; connection: string | undefined }> =>
  new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path, agent: agent ?? false }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      response.on('end', () => resolve({ body, connection: response.headers.connection }));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });

/** A client that sends bytes and keeps what comes back. */
function raw() {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let text = '';
  socket.on('data', (part: string) => {
    text += part;
  });
  return { socket, text: () => text, ended: new Promise((resolve) => socket.once('end', resolve)) };
}

const until = async (what: () => boolean): Promise<void> => {
  for (let tries = 0; !what(); tries += 1) {
    if (tries > 500) throw new Error('never happened');
    await delay(5);
  }
};

describe('counting', () => {
  test('requests › in flight while they are worked on, finished afterwards, the maximum once', async () => {
    const [one, two] = [get('/wait'), get('/wait')];
    await until(() => waiting.length === 2);
    expect(lifecycle.inFlight).toBe(2);
    lifecycle.describe(waiting[0]?.response as ServerResponse, { requestId: 'r1', route: 'slow' });
    expect(lifecycle.longest(5)[0]).toMatchObject({ id: 'r1', route: 'slow' });
    expect(lifecycle.longest(1)).toHaveLength(1);
    for (const { answer } of waiting) answer();
    await Promise.all([one, two]);
    await until(() => lifecycle.inFlight === 0);
    expect(lifecycle.finished).toBe(2);
    expect(lifecycle.takeInFlightMax()).toBe(2);
    expect(lifecycle.takeInFlightMax()).toBe(0);
  });
});

describe('connections to let go', () => {
  const CLIENTS = 10;
  let agents: Agent[];
  beforeEach(async () => {
    agents = Array.from({ length: CLIENTS }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    expect(await closing()).toBe(0);
  });
  afterEach(() => {
    for (const agent of agents) agent.destroy();
  });
  /** One request of each client. @returns how many were told that it was the last of their connection */
  const closing = async (): Promise<number> => {
    const answers = await Promise.all(agents.map((agent) => get('/', agent)));
    return answers.filter(({ connection }) => connection === 'close').length;
  };

  test('three of ten › end with their next answers, and nobody else', async () => {
    lifecycle.release(3);
    expect(await closing()).toBe(3);
    expect(await closing()).toBe(0);
  });

  test('one client asks again and again › it is let go once at most, for others ask less often', async () => {
    lifecycle.release(3);
    const [busy] = agents as [Agent];
    const seen: (string | undefined)[] = [];
    for (let asked = 0; asked < 5; asked += 1) seen.push((await get('/', busy)).connection);
    const first = seen.filter((connection) => connection === 'close').length;
    expect(first).toBeLessThanOrEqual(1);
    expect(first + (await closing())).toBe(3);
  });

  test.each([
    [[3, 5], 5],
    [[5, 2], 2],
    [[5, 0], 0],
    [[4, 4, 4], 4],
    [[99], 10],
  ])('%j one after another › the last number counts: %i', async (counts, expected) => {
    for (const count of counts) lifecycle.release(count);
    expect(await closing()).toBe(expected);
  });

  test('all are told to go while one is being sent an answer › that one is not chosen', async () => {
    const agent = new Agent({ keepAlive: true });
    const begun = get('/begin', agent);
    await until(() => waiting.length === 1);
    lifecycle.release(CLIENTS + 1);
    waiting[0]?.answer();
    await begun;
    expect((await get('/', agent)).connection).toBe('keep-alive');
    expect(await closing()).toBe(CLIENTS);
    agent.destroy();
  });

  test('all are told to go while one waits for its answer › that is its last; taken back in time, it is not', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const [counts, expected] of [
      [[CLIENTS + 1, 0], 'keep-alive'],
      [[CLIENTS + 1], 'close'],
    ] as const) {
      waiting = [];
      const late = get('/wait', agent);
      await until(() => waiting.length === 1);
      for (const count of counts) lifecycle.release(count);
      waiting[0]?.answer();
      expect((await late).connection).toBe(expected);
    }
    expect(await closing()).toBe(CLIENTS);
    agent.destroy();
  });

  test('one of ten, again and again › not always the oldest', async () => {
    /** The agents, whose connection is the oldest first. */
    const order = [...agents];
    let oldest = 0;
    for (let round = 0; round < 30; round += 1) {
      lifecycle.release(1);
      for (const agent of [...order])
        if ((await get('/', agent)).connection === 'close') {
          if (agent === order[0]) oldest += 1;
          order.push(...order.splice(order.indexOf(agent), 1));
          await get('/', agent);
        }
    }
    expect(oldest).toBeLessThan(30);
  });

  test('several requests sent at once on such a connection › all are answered, and only the last answer closes', async () => {
    const { socket, text, ended } = raw();
    await until(() => lifecycle.connections.live === CLIENTS + 1);
    lifecycle.release(CLIENTS + 1);
    socket.write('GET /wait HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
    await until(() => waiting.length === 3);
    for (const { answer } of waiting) answer();
    await ended;
    expect(text().match(/Connection: [a-z-]+/g)).toEqual(['Connection: keep-alive', 'Connection: keep-alive', 'Connection: close']);
    expect(text().match(/late/g)).toHaveLength(3);
  });
});

describe('lame duck', () => {
  test('a request in flight › is answered with Connection: close; new connections are refused; then done', async () => {
    const agent = new Agent({ keepAlive: true });
    const late = get('/wait', agent);
    await until(() => waiting.length === 1);
    const drained = lifecycle.lameDuck({ idleGraceMs: 10_000 });
    expect(lifecycle.draining).toBe(true);
    await until(() => !server.listening);
    await expect(get('/')).rejects.toThrow('ECONNREFUSED');
    waiting[0]?.answer();
    expect(await late).toEqual({ body: 'late', connection: 'close' });
    expect(await drained).toBe(true);
    agent.destroy();
  });

  test('an idle keep-alive connection › is not closed, its next request is still answered', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await get('/', agent)).connection).toBe('keep-alive');
    const drained = lifecycle.lameDuck({ idleGraceMs: 10_000 });
    await delay(200);
    expect(await get('/', agent)).toEqual({ body: 'ok', connection: 'close' });
    expect(await drained).toBe(true);
    agent.destroy();
  });

  test('a silent connection › is ended after the grace, not before', async () => {
    const socket = connect(port, '127.0.0.1');
    const ended = new Promise<number>((resolve) => socket.once('end', () => resolve(performance.now())));
    await until(() => lifecycle.connections.live === 1);
    const began = performance.now();
    const drained = lifecycle.lameDuck({ idleGraceMs: 400, silentMs: 100 });
    expect((await ended) - began).toBeGreaterThanOrEqual(395);
    expect(await drained).toBe(true);
    socket.destroy();
  });

  test('an answer that promised to keep its connection ends during the drain › it is kept for as long as promised', async () => {
    const agent = new Agent({ keepAlive: true });
    const begun = get('/begin', agent);
    await until(() => waiting.length === 1);
    const drained = lifecycle.lameDuck({ idleGraceMs: 400, silentMs: 50 });
    await delay(300);
    waiting[0]?.answer();
    expect(await begun).toEqual({ body: 'begun late', connection: 'keep-alive' });
    await delay(250);
    expect(await get('/', agent)).toEqual({ body: 'ok', connection: 'close' });
    expect(await drained).toBe(true);
    agent.destroy();
  });

  test('such an answer so late that the time for promises is over › its connection is ended as soon as it is silent', async () => {
    const agent = new Agent({ keepAlive: true });
    const begun = get('/begin', agent);
    await until(() => waiting.length === 1);
    const drained = lifecycle.lameDuck({ idleGraceMs: 60_000, promisesMs: 100, silentMs: 50 });
    waiting[0]?.answer();
    await begun;
    expect(await drained).toBe(true);
    agent.destroy();
  });

  test('a request that comes on a connection which was just ended › is over before it begins, and nobody waits for its answer', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    await until(() => lifecycle.connections.live === 1);
    const drained = lifecycle.lameDuck({ idleGraceMs: 0, silentMs: 50 });
    await new Promise((resolve) => socket.once('end', resolve).resume());
    socket.end('GET /over HTTP/1.1\r\nHost: x\r\n\r\n');
    await closed;
    await until(() => over.length > 0);
    expect(over).toEqual([true]);
    expect(await drained).toBe(true);
    await until(() => lifecycle.inFlight === 0);
  });

  test('a connection that was silent for long, and no grace › left alone until the listener has been closed for as long', async () => {
    const socket = connect(port, '127.0.0.1');
    const ended = new Promise<number>((resolve) => socket.once('end', () => resolve(performance.now())));
    await until(() => lifecycle.connections.live === 1);
    await delay(250);
    const began = performance.now();
    const drained = lifecycle.lameDuck({ idleGraceMs: 0, silentMs: 200 });
    expect((await ended) - began).toBeGreaterThanOrEqual(195);
    expect(await drained).toBe(true);
    socket.destroy();
  });

  test('the process stood still while a silent connection became due › the request that came on it meanwhile is answered', async () => {
    const { socket, text, ended } = raw();
    await until(() => lifecycle.connections.live === 1);
    const drained = lifecycle.lameDuck({ idleGraceMs: 200, silentMs: 100 });
    // So that the timers come next.
    setImmediate(() => {
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      standStill(400);
    });
    await ended;
    expect(text()).toMatch(/^HTTP\/1\.1 200 /);
    expect(await drained).toBe(true);
  });

  test('a request that never ends › gives up at the limit', async () => {
    const never = get('/wait').catch(() => 'cut');
    await until(() => waiting.length === 1);
    expect(await lifecycle.lameDuck({ idleGraceMs: 0, limitMs: 150 })).toBe(false);
    waiting[0]?.response.destroy();
    expect(await never).toBe('cut');
  });

  test('several requests on one connection, the last of them sent after the drain began › all are answered in order, the last with Connection: close', async () => {
    const { socket, text } = raw();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    const request = 'GET /wait HTTP/1.1\r\nHost: x\r\n\r\n';
    socket.write(request.repeat(2));
    await until(() => waiting.length === 2);
    const drained = lifecycle.lameDuck({ idleGraceMs: 10_000 });
    socket.write(request.repeat(2));
    await until(() => waiting.length === 4);
    for (const { answer } of [...waiting].reverse()) answer();
    await closed;
    const heads = text().split('late').slice(0, -1);
    expect(heads.map((head) => /\r\nConnection: ([\w-]+)\r\n/.exec(head)?.[1])).toEqual([
      'keep-alive',
      'keep-alive',
      'keep-alive',
      'close',
    ]);
    expect(await drained).toBe(true);
    expect(lifecycle.finished).toBe(4);
  });

  test('half a request on an idle connection › may still become whole', async () => {
    const socket = connect(port, '127.0.0.1');
    await until(() => lifecycle.connections.live === 1);
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n');
    await delay(50);
    const drained = lifecycle.lameDuck({ idleGraceMs: 0, silentMs: 50 });
    await delay(300);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.write('\r\n');
    await new Promise((resolve) => socket.once('end', resolve));
    expect(answer).toContain('200 OK');
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(await drained).toBe(true);
  });
});

describe('shutdown', () => {
  test('closers › last registered first; a failing and a hanging one do not keep the others', async () => {
    const order: string[] = [];
    lifecycle.onShutdown('database', () => order.push('database'));
    lifecycle.onShutdown('hangs', () => new Promise(() => order.push('hangs')), 20);
    lifecycle.onShutdown('fails', () => {
      order.push('fails');
      throw new Error('no');
    });
    await lifecycle.shutdown();
    await lifecycle.shutdown();
    expect(order).toEqual(['fails', 'hangs', 'database']);
  });
});
