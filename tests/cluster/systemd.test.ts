/** What systemd is told, heard on a real datagram socket; and the unit file, as systemd reads it. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PROJECT_ROOT } from '../../lib/project-root';
import { closeLater } from '../support/closers';
import { describeWith, temporaryFolder } from '../support/services';
import { ctl } from './ctl';
import { eventually, startChaos, stats } from './support';

/** Prints each datagram as a line of JSON. Node cannot open such a socket. */
const LISTENER = `
import json, os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print(json.dumps("listening"), flush=True)
while True:
    print(json.dumps(listener.recv(4096).decode()), flush=True)
`;

/** Starts a listener; `heard` grows with each message, an array of assignments. */
async function listen(): Promise<{ path: string; heard: string[][] }> {
  const path = join(temporaryFolder('notify'), 'notify.sock');
  const child = spawn('python3', ['-c', LISTENER, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  closeLater(() => child.kill('SIGKILL'));
  const heard: string[][] = [];
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    // A message ends with the request to confirm it, in a message of its own.
    for (const line of lines) heard.push((JSON.parse(line) as string).split('\n').filter((part) => part !== '' && part !== 'BARRIER=1'));
  });
  await eventually('the listener', async () => heard.length > 0);
  return { path, heard };
}

const SMALL = { WORKERS: '2', KEEP_ALIVE_TIMEOUT: '1', MAX_REQUESTS: '0', BOOT_TIMEOUT: '90', ROLL_CANARY: '1' };

describeWith('systemd-notify', 'with systemd-notify', () => {
  describeWith('python3', 'and a listener', () => {
    test('start, reload, maintenance, stop › each told in order, with a line of status, and signs of life from a healthy primary', async () => {
      const { path, heard } = await listen();
      const service = await startChaos({ env: { ...SMALL, NOTIFY_SOCKET: path, WATCHDOG_USEC: '1000000' } });
      const has = (...parts: string[]) => heard.findIndex((message) => parts.every((part) => message.includes(part)));
      await eventually('ready', async () => has('READY=1', 'STATUS=2 of 2 workers ready') >= 0);
      await eventually('a sign of life', async () => has('WATCHDOG=1') >= 0);
      // Only the primary speaks: its children are not told where to.
      const environment = readFileSync(`/proc/${service.banner.pids[0]}/environ`, 'utf8');
      expect(environment).not.toContain('NOTIFY_SOCKET');

      expect((await ctl(service, 'roll')).code).toBe(0);
      await eventually('ready again', async () => heard.filter((message) => message.includes('READY=1')).length === 2);
      const reloading = heard.find((message) => message.includes('RELOADING=1')) ?? [];
      expect(Number(reloading.find((part) => part.startsWith('MONOTONIC_USEC='))?.slice(15))).toBeGreaterThan(0);
      expect(reloading.find((part) => part.startsWith('STATUS='))).toMatch(/rolling restart 1: 0 of 2/);

      await ctl(service, 'maintenance', 'on');
      await eventually('the status', async () => has('STATUS=2 of 2 workers ready, maintenance') >= 0);

      // A primary that is stuck gives no sign, however many of its timers are due.
      service.kill('SIGSTOP');
      const signs = () => heard.filter((message) => message.includes('WATCHDOG=1')).length;
      // One that was on its way is heard by then.
      await delay(1_000);
      const before = signs();
      // That nothing comes can only be waited for: three times as long as a sign takes.
      await delay(1_500);
      expect(signs() - before).toBeLessThanOrEqual(1);
      service.kill('SIGCONT');
      await eventually('signs again', async () => signs() > before + 1);

      expect(await service.stop()).toEqual({ code: 0, signal: null });
      const order = ['READY=1', 'RELOADING=1', 'STATUS=2 of 2 workers ready, maintenance', 'STOPPING=1'].map((part) => has(part));
      expect([...order].sort((a, b) => a - b)).toEqual(order);
      expect(order).not.toContain(-1);
    });
  });
});

test('NOTIFY_SOCKET without systemd-notify › one warning, and the service serves', async () => {
  const service = await startChaos({
    env: { ...SMALL, WORKERS: '1', NOTIFY_SOCKET: '/nowhere', WATCHDOG_USEC: '200000', PATH: temporaryFolder('empty') },
  });
  expect((await stats(service)).cluster.booted_workers).toBe(1);
  await service.waitForLine(/systemd-notify is not installed/);
  await service.stop();
  expect(service.lines().filter((line) => line.includes('systemd-notify'))).toHaveLength(1);
});

describeWith('systemd-analyze', 'the unit file', () => {
  test('is what systemd takes, and names files that exist', () => {
    const unit = readFileSync(join(PROJECT_ROOT, 'deploy', 'systemd', 'autoshop.service'), 'utf8');
    const path = join(temporaryFolder('unit'), 'autoshop.service');
    writeFileSync(path, unit.replaceAll('/usr/bin/node', process.execPath));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    expect(stderr.split('\n').filter((line) => line.includes('autoshop.service'))).toEqual([]);
    expect(status).toBe(0);
    for (const script of unit.match(/dist\/\S+\.js/g) ?? []) expect(existsSync(join(PROJECT_ROOT, script))).toBe(true);
    expect(unit).toMatch(/^RestartPreventExitStatus=70 78$/m);
    // 75, the database is away: tried again for as long as that takes.
    expect(unit).toMatch(/^Restart=on-failure$/m);
    expect(unit).toMatch(/^StartLimitIntervalSec=0$/m);
  });
});
