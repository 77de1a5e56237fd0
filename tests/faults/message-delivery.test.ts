/**
 * The job process dies by SIGKILL between the commit of a message and the provider's answer, again and again, while the provider
 * misbehaves too: nothing is lost, and what is sent again is sent under the same key. KILLS sets how often; `npm run test:kill-loop`
 * does it a hundred times.
 */
import '../support/sms-environment';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PROJECT_ROOT } from '../../lib/project-root';
import { eventually } from '../cluster/support';
import { closeLater } from '../support/closers';
import { admin } from '../support/database';
import { createAppointment, createCustomer, createStaff, createTenant, type Staff, type Tenant } from '../support/factories';
import { ProviderSandbox } from '../support/provider-sandbox';
import { type Agent, startApp, type TestApp } from '../support/server';
import { actAs } from '../support/sessions';

const KILLS = Number(process.env['KILLS'] ?? 4);
/** A start of the process, and the wait after a second failure (8 s), on a machine with other things to do. */
const ROUND_MS = 60_000;
/** Longer than any round: the answer to a call that is under way when the process dies. */
const NEVER_MS = 600_000;

const sandbox = new ProviderSandbox();
let shop: Tenant;
let app: TestApp;
let owner: Staff;
let agent: Agent;
let worker: ChildProcess;

beforeAll(async () => {
  await sandbox.start();
  app = await startApp();
  shop = await createTenant();
  owner = await createStaff({ tenant: shop });
  worker = startWorker();
  closeLater(() => kill());
});

function startWorker(): ChildProcess {
  return spawn(process.execPath, [join(PROJECT_ROOT, 'dist', 'server', 'job-runner.js')], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, SMS_API_URL: sandbox.url, LOG_LEVEL: 'ERROR' },
  });
}

async function kill(): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

/** Each to a customer of its own, so that the limit for one customer does not matter. @returns the id, committed */
async function send(): Promise<string> {
  const appointment = await createAppointment({ tenant: shop, customer: await createCustomer({ tenant: shop }) });
  const { status, body } = await agent.post(`/api/appointments/${appointment.id}/messages`).send({ channel: 'sms', body: 'Hello' });
  expect(status).toBe(201);
  return body.id;
}

const isStored = async (id: string) => (await admin('SELECT 1 FROM messages WHERE id = $1 AND provider_id IS NOT NULL', [id])).length > 0;
const arrived = (id: string) =>
  eventually(`${id} is known to have arrived`, () => isStored(id), ROUND_MS).catch(async (error: Error) => {
    const jobs = await admin('SELECT *, now() AS now FROM graphile_worker._private_jobs');
    const seen = { jobs, calls: sandbox.attempts.filter(({ dedupeKey }) => dedupeKey === id), exit: worker.exitCode };
    throw new Error(`${error.message}; ${JSON.stringify(seen)}`);
  });

test(
  `${KILLS} kills › every message arrives, repeated at most once for each kill and under one key; without a kill never`,
  async () => {
    const killed: string[] = [];
    const spared: string[] = [];
    for (let round = 0; round < KILLS; round += 1) {
      const isUnderWay = round % 2 === 0;
      // A hundred rounds may take longer than a token lives.
      agent = await actAs(app, owner);
      if (round % 4 === 3) sandbox.fail({ kind: 'refused' });
      if (isUnderWay) sandbox.fail({ kind: 'slow', ms: NEVER_MS });
      const id = await send();
      // In turn: while the provider is being called, and at some moment around the hand-over.
      if (isUnderWay) await sandbox.called(() => sandbox.accepted(id).length > 0);
      else await delay(round % 40);
      await kill();
      killed.push(id);
      worker = startWorker();
      await arrived(id);
      spared.push(await send());
      await arrived(spared.at(-1) as string);
    }
    for (const id of killed) expect(sandbox.accepted(id).length).toBeGreaterThanOrEqual(1);
    const repeated = killed.reduce((sum, id) => sum + sandbox.accepted(id).length - 1, 0);
    expect(repeated).toBeLessThanOrEqual(KILLS);
    expect(repeated).toBeGreaterThan(0);
    for (const id of spared) expect(sandbox.accepted(id)).toHaveLength(1);
    // No key but the messages' own has ever been used.
    expect([...new Set(sandbox.attempts.map(({ dedupeKey }) => dedupeKey))].sort()).toEqual([...killed, ...spared].sort());
    const figures = { messages: killed.length + spared.length, kills: KILLS, attempts: sandbox.attempts.length };
    process.stdout.write(`${JSON.stringify({ ...figures, accepted: sandbox.accepted().length, repeated })}\n`);
  },
  60_000 + KILLS * ROUND_MS,
);
