import { MemoryReplies } from '../../../lib/cache/memory-replies';
import { announceWrites, type CacheQuestion, cachedReply, setReplyBackend } from '../../../lib/cache/replies';
import { tagOf } from '../../../lib/cache/tables';
import type { StoredReply } from '../../../lib/cache/versioned-replies';
import { clock } from '../../../lib/clock';
import { localBus, type ReplyClaim, type ReplyExchange } from '../../../lib/cluster-ports';

const TENANT = '00000000-0000-0000-0000-000000000001';
const TAG = tagOf(TENANT, 'appointments');

let now = 0;
let undo: () => void;
beforeEach(() => {
  now = Date.parse('2026-03-10T12:00:00Z');
  undo = clock.override(() => new Date(now));
  setReplyBackend(new MemoryReplies({ maxBytes: 1e6 }));
});
afterEach(() => undo());

/** A reply whose computation the test ends. */
function slow() {
  const gates: { end: (text: string) => void; fail: (error: Error) => void; inBackground: boolean }[] = [];
  const compute = (inBackground: boolean): Promise<StoredReply> =>
    new Promise((resolve, reject) => {
      const end = (text: string) => resolve({ status: 200, headers: {}, parts: [text, '', ''], etag: null, storedAt: now });
      gates.push({ end, fail: reject, inBackground });
    });
  const question: CacheQuestion = {
    namespace: 'test',
    key: 'k',
    tags: [TAG],
    policy: { freshMs: 60_000, staleMs: 60_000 },
    compute,
  };
  const ask = async () => {
    const { reply, result } = await cachedReply(question);
    return `${result} ${reply.parts[0]}`;
  };
  /** Asks, and ends the computation that this begins. */
  const answered = async (text: string) => {
    const asked = ask();
    await turn();
    gates.at(-1)?.end(text);
    return asked;
  };
  return { gates, ask, answered };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('asked again › not computed again; after a write › computed', async () => {
  const { gates, ask, answered } = slow();
  expect(await answered('one')).toBe('miss one');
  expect(await ask()).toBe('hit one');
  await announceWrites(new Set([TAG]));
  expect(await answered('two')).toBe('miss two');
  expect(gates).toHaveLength(2);
});

test('ten at once › one computes, and a write in between parts those before from those after', async () => {
  const { gates, ask } = slow();
  const before = Array.from({ length: 5 }, () => ask());
  await turn();
  await announceWrites(new Set([TAG]));
  const after = Array.from({ length: 5 }, () => ask());
  await turn();
  expect(gates).toHaveLength(2);
  gates[1]?.end('new');
  gates[0]?.end('old');
  expect((await Promise.all(before)).sort()).toEqual(['hit old', 'hit old', 'hit old', 'hit old', 'miss old']);
  expect((await Promise.all(after)).sort()).toEqual(['hit new', 'hit new', 'hit new', 'hit new', 'miss new']);
  expect(await ask()).toBe('hit new');
});

test('the first of three fails › it alone fails by that, the others compute for themselves, nothing is kept', async () => {
  const { gates, ask } = slow();
  const [first, ...others] = [ask(), ask(), ask()];
  await turn();
  gates[0]?.fail(new Error('its own trouble'));
  await expect(first).rejects.toThrow('its own trouble');
  await turn();
  expect(gates).toHaveLength(3);
  for (const gate of gates.slice(1)) gate.end('x');
  expect(await Promise.all(others)).toEqual(['miss x', 'miss x']);
});

test('past its time › given once more to everybody, computed anew by one in the background; past its end › computed', async () => {
  const { gates, ask, answered } = slow();
  await answered('one');
  now += 60_000;
  expect(await Promise.all([ask(), ask(), ask()])).toEqual(['stale one', 'stale one', 'stale one']);
  await turn();
  expect(gates.map(({ inBackground }) => inBackground)).toEqual([false, true]);
  gates[1]?.end('two');
  await turn();
  expect(await ask()).toBe('hit two');
  now += 120_000;
  expect(await answered('three')).toBe('miss three');
});

test('a stale reply › never given after a write', async () => {
  const { answered } = slow();
  await answered('one');
  now += 60_000;
  await announceWrites(new Set([TAG]));
  expect(await answered('two')).toBe('miss two');
});

test('no cache › every request computes', async () => {
  setReplyBackend(null);
  const { gates, ask } = slow();
  const both = [ask(), ask()];
  await turn();
  for (const gate of gates) gate.end('x');
  expect(await Promise.all(both)).toEqual(['miss x', 'miss x']);
});

describe('with neighbours', () => {
  const exchange = (claims: (ReplyClaim | Error)[], settled: unknown[] = []): ReplyExchange => ({
    claim: async () => {
      const claim = claims.shift() ?? { kind: 'busy' };
      if (claim instanceof Error) throw claim;
      return claim;
    },
    settle: (flight, reply) => settled.push([flight, reply?.parts[0] ?? null]),
  });
  const use = (...args: Parameters<typeof exchange>) =>
    setReplyBackend(new MemoryReplies({ maxBytes: 1e6, neighbours: { bus: localBus(), exchange: exchange(...args) } }));

  test('one of them has it › taken over, and kept', async () => {
    use([{ kind: 'reply', reply: { status: 200, headers: {}, parts: ['theirs', '', ''], etag: null, storedAt: now } }]);
    const { gates, ask } = slow();
    expect([await ask(), await ask()]).toEqual(['hit theirs', 'hit theirs']);
    expect(gates).toHaveLength(0);
  });

  test('this one leads › what it computes is handed over, and its failure too', async () => {
    const settled: unknown[] = [];
    use(
      [
        { kind: 'lead', flight: 4 },
        { kind: 'lead', flight: 5 },
      ],
      settled,
    );
    const { gates, ask, answered } = slow();
    const first = ask();
    await turn();
    gates[0]?.fail(new Error('no'));
    await expect(first).rejects.toThrow('no');
    expect(await answered('mine')).toBe('miss mine');
    expect(settled).toEqual([
      [4, null],
      [5, 'mine'],
    ]);
  });

  test('nobody answers › computed, not kept, no request fails', async () => {
    use([new Error('silent'), new Error('silent')]);
    const { answered } = slow();
    for (const text of ['one', 'two']) expect(await answered(text)).toBe(`miss ${text}`);
  });
});
