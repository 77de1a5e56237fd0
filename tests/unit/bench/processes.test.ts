import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parentOf, treeCpuMs } from '../../../load/bench/processes';

const BURN = 'const end = process.cpuUsage().user + 120_000; while (process.cpuUsage().user < end) {}';
/** Burns in a child that ends and in one that lives on, says so, and then idles. */
const TREE = `
  const { spawn } = require('node:child_process');
  const burn = (then) => spawn(process.execPath, ['-e', ${JSON.stringify(BURN)} + then], { stdio: ['ignore', 'pipe', 'ignore'] });
  burn('').once('exit', () => {
    const living = burn('console.log(1); setInterval(() => {}, 1000)');
    living.stdout.once('data', () => console.log(living.pid));
    process.once('SIGTERM', () => { living.kill(); living.once('exit', () => process.exit(0)); });
  });
  setInterval(() => {}, 1000);
`;

test('the CPU of a tree of processes holds that of its children, living and ended', async () => {
  const root = spawn(process.execPath, ['-e', TREE], { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(root, 'exit');
  try {
    const [line] = (await once(createInterface(root.stdout), 'line')) as [string];
    if (root.pid === undefined) throw new Error('nothing was started');
    expect(parentOf(Number(line))).toBe(root.pid);
    const all = treeCpuMs(root.pid);
    expect(all).toBeGreaterThan(230);
    expect(all - treeCpuMs(Number(line))).toBeGreaterThan(110);
  } finally {
    root.kill('SIGTERM');
    await gone;
  }
});

test('a process that is gone has no CPU to tell of', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  const { pid = 0 } = child;
  expect(() => treeCpuMs(pid)).toThrow('is gone');
  expect(() => parentOf(pid)).toThrow('does not run on this machine');
});
