/**
 * `npm run bench:read-watch [-- --rounds 31 --requests 300]`: what watching for repeated reads costs. Starts the service twice on one
 * database, N_PLUS_ONE=warn and =off, and measures in alternating rounds the CPU of all processes of each per request, on the read
 * that sends the most statements. The database as for `bench:floor`.
 *
 * Exit code 0 when the median ratio is at most 1.02, 1 when not. Linux only.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareCpu, printComparison, startService } from './alternating';
import { openDatabase, prepare, signIn } from './database';
import { runBench } from './frame';
import type { Server } from './processes';

const LIMIT = 1.02;
const TIME_LIMIT_MS = 230_000;
/** Its statements are the most that a read of one endpoint sends. */
const PATH = '/api/admin/customers';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '31' }, requests: { type: 'string', default: '300' } },
});

void runBench(TIME_LIMIT_MS, async (undoLater) => {
  const database = await openDatabase();
  undoLater(database.close);
  await prepare(database);
  const folder = mkdtempSync(join(tmpdir(), 'autoshop-read-watch-'));
  undoLater(() => rmSync(folder, { recursive: true, force: true }));
  const secret = randomBytes(48).toString('base64url');
  const start = async (mode: 'warn' | 'off'): Promise<Server> => {
    const server = await startService({ name: mode, database, secret, folder, env: { N_PLUS_ONE: mode } });
    undoLater(server.stop);
    return server;
  };
  const servers = [await start('warn'), await start('off')] as const;
  const headers = await signIn(servers[0].url);
  const cpu = await compareCpu(servers, { path: PATH, headers, rounds: Number(values.rounds), requests: Number(values.requests) });
  printComparison(['warn', 'off'], cpu, LIMIT);
  return cpu.ratio <= LIMIT ? 0 : 1;
});
