/**
 * An open-loop load generator, a process of its own: requests are sent when their time has come, whether or not earlier ones were
 * answered, as users do. (A closed loop slows down with the service, so it never sees an overload.) Clients give up after a while.
 *
 * `node dist/load/bench/open-loop.js '{"url":…,"path":…,"rate":480,"seconds":10,"giveUpMs":2000}'` prints one JSON line of samples;
 * with `clients` instead of `rate` it is a closed loop of that many. Loopback only.
 */
import { Agent, request } from 'node:http';

export interface LoadPlan {
  url: string;
  path: string;
  seconds: number;
  /** Requests per second, sent at even intervals, ... */
  rate?: number;
  /** ... or as independent users send them: intervals of an exponential distribution. */
  random?: boolean;
  /** Clients that each send the next request when the last one is answered. */
  clients?: number;
  giveUpMs?: number;
  /** More connections than these are not opened. */
  maxSockets?: number;
  /** Each request takes a connection of its own. */
  fresh?: boolean;
}

export interface Sample {
  /** HTTP status, `timeout`, or the errno of what went wrong. */
  result: number | string;
  /** From the moment the request was due. */
  ms: number;
  /** After the start of the run. */
  atMs: number;
  retryAfter?: string;
  /** Whether the answer left the connection open. */
  kept?: boolean;
}

const GIVE_UP_MS = 2_000;
const MAX_SOCKETS = 2_000;

/** When each request is due, milliseconds after the start. */
function dueTimes(rate: number, seconds: number, random: boolean): number[] {
  let at = 0;
  return Array.from({ length: Math.round(rate * seconds) }, (_, index) => {
    if (!random) return (index / rate) * 1000;
    at += (-Math.log(1 - Math.random()) / rate) * 1000;
    return at;
  });
}

/** Runs the plan to its end, the last answers included. */
export async function generate({
  url,
  path,
  seconds,
  rate,
  clients = 1,
  giveUpMs = GIVE_UP_MS,
  maxSockets = MAX_SOCKETS,
  fresh = false,
  random = false,
}: LoadPlan): Promise<Sample[]> {
  const { hostname, port } = new URL(url);
  if (hostname !== '127.0.0.1' && hostname !== 'localhost') throw new Error('load goes to loopback only');
  const agent = new Agent({ keepAlive: !fresh, maxSockets, scheduling: 'lifo' });
  const samples: Sample[] = [];
  const started = performance.now();

  const send = (due: number): Promise<void> =>
    new Promise((resolve) => {
      const finish = (result: Sample['result'], extra: Partial<Sample> = {}): void => {
        clearTimeout(timer);
        samples.push({ result, ms: performance.now() - due, atMs: due - started, ...extra });
        resolve();
      };
      const sent = request({ hostname, port, path, agent }, (response) => {
        response.resume();
        const { statusCode = 0, headers } = response;
        const retryAfter = headers['retry-after'];
        response.once('end', () =>
          finish(statusCode, { ...(retryAfter === undefined ? {} : { retryAfter }), kept: headers.connection !== 'close' }),
        );
        response.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
      });
      sent.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
      const timer = setTimeout(() => {
        sent.removeAllListeners('error').on('error', () => undefined);
        sent.destroy();
        finish('timeout');
      }, giveUpMs);
      sent.end();
    });

  if (rate === undefined) {
    const until = started + seconds * 1000;
    await Promise.all(
      Array.from({ length: clients }, async () => {
        while (performance.now() < until) await send(performance.now());
      }),
    );
  } else {
    const due = dueTimes(rate, seconds, random);
    const pending: Promise<void>[] = [];
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now() - started;
        for (let at = due[pending.length]; at !== undefined && at <= now; at = due[pending.length]) pending.push(send(started + at));
        if (pending.length < due.length) return;
        clearInterval(timer);
        resolve();
      }, 2);
    });
    await Promise.all(pending);
  }
  agent.destroy();
  return samples;
}

if (require.main === module)
  void generate(JSON.parse(process.argv[2] ?? '{}') as LoadPlan).then((samples) => process.stdout.write(`${JSON.stringify(samples)}\n`));
