/** K23: slow and malformed clients, under both values of DISPATCH. */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { call, eventually, type Running, startChaos, stats } from '../cluster/support';
import { criterion, isFull, limit } from '../support/criterion';
import { attempt, parseAnswers, SPLITTINGS, seeded } from '../support/raw-client';
import { RAW_REQUESTS, type RawRequest } from '../support/raw-requests';

const start = (DISPATCH: string, env: Record<string, string> = {}): Promise<Running> =>
  startChaos({ env: { DISPATCH, MAX_REQUESTS: '0', LOG_LEVEL: 'WARNING', ...env } });
const portOf = ({ url }: Running): number => Number(new URL(url).port);
const PARALLEL = 16;

for (const dispatch of ['least', 'rr'])
  criterion('K23', `${dispatch}: requests as bytes, in ${SPLITTINGS.length} splittings`, async (measure) => {
    const service = await start(dispatch, { WORKERS: '1' });
    const wrong: string[] = [];
    let serverErrors = 0;
    const attempts = SPLITTINGS.flatMap((how) => RAW_REQUESTS.map((each, index) => ({ how, each, id: `${how}-${index}` })));
    const tried: { each: RawRequest; id: string }[] = [];
    const random = seeded(20_260);
    const queue = [...attempts];
    const clients = Array.from({ length: PARALLEL }, async () => {
      for (let next = queue.shift(); next; next = queue.shift()) {
        const reaction = await attempt(portOf(service), next.each, { how: next.how, random, id: next.id });
        tried.push({ each: next.each, id: reaction.id });
        if (reaction.statuses.some((status) => status >= 500)) serverErrors += 1;
        const seen = `${reaction.statuses} ${reaction.closed ? 'close' : 'open'} ${reaction.rest}`.trim();
        if (seen !== `${next.each.answers} ${next.each.after}`.trim()) wrong.push(`${next.id} ${next.each.name}: ${seen}`);
      }
    });
    await Promise.all(clients);
    const marks = JSON.parse((await call(service.url, { path: '/chaos/marks' })).body) as Record<string, number>;
    const smuggled = tried.filter(({ each, id }) => (marks[id] ?? 0) !== each.marks).map(({ each, id }) => `${id} ${each.name}`);
    measure('at least 100 requests', RAW_REQUESTS.length, RAW_REQUESTS.length >= 100);
    measure('the expected answers', `${wrong.length} of ${attempts.length} others ${wrong.slice(0, 5).join('; ')}`, wrong.length === 0);
    measure(
      'executed as often as expected, nothing smuggled',
      `${smuggled.length} others ${smuggled.slice(0, 5).join('; ')}`,
      smuggled.length === 0 && !('body' in marks),
    );
    measure('no answer of 500 or over', serverErrors, serverErrors === 0);
    const { cluster } = await stats(service);
    measure('no worker died', cluster.restarts.total, cluster.restarts.total === 0);
    await service.stop();
  });

interface Slow {
  answer: string;
  ms: number;
}

/** Sends a header line each second and never an end. Resolves when the server ends it. */
function slowClient(port: number): { opened: Promise<void>; ended: Promise<Slow> } {
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  const opened = new Promise<void>((resolve) => socket.once('connect', resolve));
  const ended = new Promise<Slow>((resolve) => {
    let since = performance.now();
    let text = '';
    let timer: NodeJS.Timeout | undefined;
    socket.once('connect', () => {
      since = performance.now();
      socket.write('GET / HTTP/1.1\r\nHost: shop\r\n');
      timer = setInterval(() => socket.write('X-A: 1\r\n'), 1_000);
    });
    socket.on('data', (part: string) => {
      text += part;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(timer);
      resolve({ answer: text, ms: performance.now() - since });
    });
  });
  return { opened, ended };
}

/** Two hundred requests a second at most, each measured. @returns their p99 in ms */
async function p99While(url: string, until: () => boolean): Promise<{ p99: number; failed: number; count: number }> {
  const times: number[] = [];
  let failed = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (!until()) {
        const { result, ms } = await call(url, { path: '/chaos/wait?ms=5' });
        if (result === 200) times.push(ms);
        else failed += 1;
        await delay(15);
      }
    }),
  );
  times.sort((a, b) => a - b);
  return { p99: times[Math.floor(times.length * 0.99)] ?? Number.NaN, failed, count: times.length };
}

for (const dispatch of ['least', 'rr'])
  criterion('K23', `${dispatch}: 500 clients that never finish their headers`, async (measure, compare) => {
    const service = await start(dispatch);
    const rounds = isFull() ? 3 : 1;
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const calmUntil = performance.now() + 8_000;
      const calm = await p99While(service.url, () => performance.now() > calmUntil);
      const clients = Array.from({ length: 500 }, () => slowClient(portOf(service)));
      await Promise.all(clients.map(({ opened }) => opened));
      await eventually('all are held', async () => (await stats(service)).cluster.dispatch.live >= 500);
      let over = false;
      const slow = Promise.all(clients.map(({ ended }) => ended)).then((ends) => {
        over = true;
        return ends;
      });
      const besieged = await p99While(service.url, () => over);
      const ends = await slow;
      ratios.push(besieged.p99 / calm.p99);
      const answered = ends.filter(
        ({ answer }) => parseAnswers(answer).statuses.join() === '408' && answer.includes('"code":"request_timeout"'),
      ).length;
      measure('all answered 408 in the envelope', `${answered} of ${ends.length}`, answered === ends.length);
      const [first, last] = [Math.min(...ends.map(({ ms }) => ms)), Math.max(...ends.map(({ ms }) => ms))];
      measure(
        `cut at 10 to ${limit(12_000) / 1000} s`,
        `${(first / 1000).toFixed(1)} to ${(last / 1000).toFixed(1)} s`,
        first >= 9_900 && last <= limit(12_000),
      );
      measure('no other request failed', `${besieged.failed} of ${besieged.count}`, besieged.failed === 0);
    }
    const middle = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] as number;
    compare(
      "others' p99 <= 1.2 x that without",
      `${middle.toFixed(2)} (${ratios.map((each) => each.toFixed(2)).join(', ')})`,
      middle <= 1.2,
    );
    await service.stop();
  });
