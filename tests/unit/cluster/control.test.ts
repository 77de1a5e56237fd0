/** The socket itself, with acts of the test's own: place and rights, protocol, order, refusals. */

import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Act, ControlServer } from '../../../server/cluster/control';
import { ControlRefusal } from '../../../server/cluster/control-commands';

jest.mock('../../../lib/log', () => ({ audit: jest.fn(), log: { info: jest.fn(), warn: jest.fn(), error: jest.fn() } }));

const folder = mkdtempSync(join(tmpdir(), 'autoshop-control-'));
const servers: ControlServer[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.close()));
  rmSync(folder, { recursive: true, force: true });
});

let places = 0;
const place = (): string => {
  places += 1;
  return join(folder, String(places), 'control.sock');
};

async function open(act: Act, path = place()): Promise<string> {
  const server = new ControlServer(act);
  await server.open(path);
  servers.push(server);
  return path;
}

/** Sends lines as they are and gives the answers until `count` of them have come, or the other side has ended. */
function talk(path: string, text: string, count: number): Promise<Record<string, unknown>[]> {
  return new Promise((resolve, reject) => {
    const answers: Record<string, unknown>[] = [];
    let rest = '';
    const socket = connect({ path }, () => socket.write(text));
    socket.setEncoding('utf8').on('data', (part: string) => {
      const lines = (rest + part).split('\n');
      rest = lines.pop() ?? '';
      answers.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
      if (answers.length >= count) socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => resolve(answers));
  });
}

const echo: Act = async (command) => command;

test('place › made for its owner alone, removed at the end', async () => {
  const path = place();
  const server = new ControlServer(echo);
  await server.open(path);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
  await server.close();
  expect(existsSync(path)).toBe(false);
});

test('place › a socket that nobody listens on is taken over, one that answers is refused with 71', async () => {
  const path = place();
  mkdirSync(join(path, '..'), { mode: 0o700 });
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen({ path: `${path}.dead` }, resolve));
  // A second name keeps the file when its listener closes, as a kill would.
  linkSync(`${path}.dead`, path);
  await new Promise((resolve) => dead.close(resolve));
  expect(statSync(path).isSocket()).toBe(true);
  await open(echo, path);
  expect(await talk(path, '{"command":"status"}\n', 1)).toEqual([{ event: 'done', result: { command: 'status' } }]);
  await expect(new ControlServer(echo).open(path)).rejects.toMatchObject({ exitCode: 71 });
  expect(await talk(path, '{"command":"status"}\n', 1)).toHaveLength(1);
});

test('place › a file that is no socket, or a folder open to others › refused with 78, nothing removed', async () => {
  const file = place();
  mkdirSync(join(file, '..'), { mode: 0o700 });
  writeFileSync(file, 'precious');
  await expect(new ControlServer(echo).open(file)).rejects.toMatchObject({ exitCode: 78 });
  symlinkSync(file, `${file}.link`);
  await expect(new ControlServer(echo).open(`${file}.link`)).rejects.toMatchObject({ exitCode: 78 });
  const open = place();
  mkdirSync(join(open, '..'));
  chmodSync(join(open, '..'), 0o777);
  await expect(new ControlServer(echo).open(open)).rejects.toMatchObject({ exitCode: 78 });
  expect(existsSync(file)).toBe(true);
});

test('requests › several on one connection › answered in order, progress before the end', async () => {
  const path = await open(async (command, progress) => {
    progress({ about: command.command });
    return command.command;
  });
  expect(await talk(path, '{"command":"status"}\n\n{"command":"stop","by":1}\n', 4)).toEqual([
    { event: 'progress', about: 'status' },
    { event: 'done', result: 'status' },
    { event: 'progress', about: 'stop' },
    { event: 'done', result: 'stop' },
  ]);
});

test('requests › in pieces › put together', async () => {
  const path = await open(echo);
  const answers = await new Promise((resolve) => {
    const socket = connect({ path }, () => {
      socket.write('{"comm');
      setImmediate(() => socket.write('and":"status"}\n'));
    });
    socket.setEncoding('utf8').once('data', (text) => {
      socket.destroy();
      resolve(text);
    });
  });
  expect(answers).toBe('{"event":"done","result":{"command":"status"}}\n');
});

test('requests › not JSON, no object, wrong argument, refused by the act, a defect › told as what it is, and the connection lives', async () => {
  const path = await open(async ({ command }) => {
    if (command === 'roll') throw new ControlRefusal('busy', 'rolling restart 3 is under way', { roll: 3 });
    throw new Error('a defect');
  });
  const lines = ['nonsense', '[1]', '{"command":"scale","workers":"x"}', '{"command":"roll"}', '{"command":"status"}'];
  expect(await talk(path, `${lines.join('\n')}\n`, 5)).toMatchObject([
    { event: 'refused', kind: 'usage' },
    { event: 'refused', kind: 'usage' },
    { event: 'refused', kind: 'usage', argument: 'workers' },
    { event: 'refused', kind: 'busy', message: 'rolling restart 3 is under way', roll: 3 },
    { event: 'refused', kind: 'failed', message: 'a defect' },
  ]);
});

test('requests › a line without end › refused and hung up', async () => {
  const path = await open(echo);
  expect(await talk(path, 'x'.repeat(17_000), 2)).toMatchObject([{ event: 'refused', kind: 'usage' }]);
});

test('a caller that goes away › its act goes on', async () => {
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let begun: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const ended = new Promise<string>((resolve) => {
    void open(async (_command, progress) => {
      begun();
      await finished;
      progress({ still: 'here' });
      resolve('ended');
    }).then(async (path) => {
      const socket = connect({ path }, () => socket.write('{"command":"stop"}\n'));
      await asked;
      socket.once('close', finish);
      socket.destroy();
    });
  });
  expect(await ended).toBe('ended');
});

test('a caller that closes its half after the question › is answered all the same, however long it takes', async () => {
  const path = await open(async ({ command }) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return command;
  });
  const answers = await new Promise<string>((resolve) => {
    let heard = '';
    const socket = connect({ path }, () => socket.end('{"command":"roll"}\n{"command":"status"}\n'));
    socket.setEncoding('utf8').on('data', (text: string) => {
      heard += text;
    });
    socket.once('close', () => resolve(heard));
  });
  expect(answers).toBe('{"event":"done","result":"roll"}\n{"event":"done","result":"status"}\n');
});

test('a caller that asks without end and never reads › is asked to wait, and does not hold up the end', async () => {
  const long = 'x'.repeat(100_000);
  let answered = 0;
  const server = new ControlServer(async () => {
    answered += 1;
    return long;
  });
  const path = place();
  await server.open(path);
  const socket = connect({ path });
  socket.on('error', () => undefined);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.pause();
  socket.write('{"command":"status"}\n'.repeat(1_000));
  await new Promise<void>((resolve) => {
    let before = -1;
    const timer = setInterval(() => {
      if (answered > 0 && answered === before) {
        clearInterval(timer);
        resolve();
      }
      before = answered;
    }, 100);
  });
  expect(answered).toBeLessThan(50);
  await server.close();
  expect(existsSync(path)).toBe(false);
  socket.resume();
  await closed;
});
