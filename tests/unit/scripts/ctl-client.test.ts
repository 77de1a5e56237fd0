import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Answer, ask, NoService } from '../../../scripts/ctl/client';
import { closeLater } from '../../support/closers';

const folder = mkdtempSync(join(tmpdir(), 'autoshop-ctl-'));
afterAll(() => rmSync(folder, { recursive: true }));

let sockets = 0;

/** A control socket that answers each line with what `answerTo` makes of it, or not at all. */
async function listen(
  answerTo: (request: Record<string, unknown>) => object[] | Promise<object[]>,
): Promise<{ path: string; asked: Record<string, unknown>[] }> {
  const path = join(folder, `${sockets++}.sock`);
  const asked: Record<string, unknown>[] = [];
  const server: Server = createServer((socket) => {
    closeLater(() => socket.destroy());
    socket.on('error', () => socket.destroy());
    const answer = async (text: string): Promise<void> => {
      for (const line of text.split('\n').filter(Boolean)) {
        const request = JSON.parse(line) as Record<string, unknown>;
        asked.push(request);
        for (const event of await answerTo(request)) socket.write(`${JSON.stringify(event)}\n`);
      }
    };
    socket.setEncoding('utf8').on('data', (text: string) => void answer(text));
  }).listen(path);
  closeLater(() => server.close());
  await once(server, 'listening');
  return { path, asked };
}

test('a primary that takes the connection and says nothing › given up after the limit, said so, 69; nothing was asked of it', async () => {
  const { path, asked } = await listen(() => []);
  const shown: Answer[] = [];
  const failed = await ask(path, { command: 'roll' } as never, (answer) => shown.push(answer), 100).catch((error: unknown) => error);
  expect(failed).toBeInstanceOf(NoService);
  expect(failed).toMatchObject({ exitCode: 69, message: expect.stringContaining('its primary stands still') });
  expect([asked, shown]).toEqual([[{ command: 'status' }], []]);
});

test('a command that takes longer than the limit › waited for, with its progress', async () => {
  const { path, asked } = await listen(async ({ command }) => {
    if (command === 'status') return [{ event: 'done', result: {} }];
    await delay(300);
    return [
      { event: 'progress', replaced: 0 },
      { event: 'done', result: 'rolled' },
    ];
  });
  const shown: Answer[] = [];
  await ask(path, { command: 'roll' } as never, (answer) => shown.push(answer), 100);
  expect(asked).toEqual([{ command: 'status' }, { command: 'roll', by: process.pid }]);
  expect(shown).toEqual([
    { event: 'progress', replaced: 0 },
    { event: 'done', result: 'rolled' },
  ]);
});

test('status › asked once, its answer shown', async () => {
  const { path, asked } = await listen(() => [{ event: 'done', result: { pid: 7 } }]);
  const shown: Answer[] = [];
  await ask(path, { command: 'status' }, (answer) => shown.push(answer), 1_000);
  expect([asked, shown]).toEqual([[{ command: 'status' }], [{ event: 'done', result: { pid: 7 } }]]);
});
