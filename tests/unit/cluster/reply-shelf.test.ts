import type { StoredReply } from '../../../lib/cache/versioned-replies';
import type { ReplyClaim } from '../../../lib/cluster-ports';
import { FLIGHT_MS, ReplyShelf } from '../../../server/cluster/reply-shelf';

const reply = (text: string, storedAt: number): StoredReply => ({ status: 200, headers: {}, parts: [text, '', ''], etag: null, storedAt });
const question = { key: 'k', tags: ['a'], freshMs: 60_000, wait: true };

function shelf() {
  const answers: (ReplyClaim & { to: string })[] = [];
  let now = 1_000;
  const one = new ReplyShelf({
    maxBytes: 1e6,
    now: () => now,
    port: { answer: (child, call, claim) => answers.push({ to: `${child}${call}`, ...claim }) },
  });
  const take = () =>
    answers
      .splice(0)
      .map(
        (answer) =>
          `${answer.to} ${answer.kind === 'reply' ? answer.reply.parts[0] : answer.kind === 'lead' ? `lead ${answer.flight}` : answer.kind}`,
      );
  return { one, take, store: (text: string) => reply(text, now), pass: (ms: number) => (now += ms) };
}

test('four ask at once › the first computes, all get its reply, the next one too', () => {
  const { one, take, store } = shelf();
  for (const [call, child] of ['A', 'B', 'C', 'D'].entries()) one.claim(child, call, question);
  expect(take()).toEqual(['A0 lead 1']);
  one.settle('A', 1, store('x'));
  expect(take()).toEqual(['B1 x', 'C2 x', 'D3 x']);
  one.claim('B', 9, question);
  expect(take()).toEqual(['B9 x']);
});

test('a write while it is computed › those who asked before get it, nobody after, and it is not kept', () => {
  const { one, take, store } = shelf();
  one.claim('A', 1, question);
  one.claim('B', 2, question);
  one.invalidate(['a']);
  one.claim('C', 3, question);
  expect(take()).toEqual(['A1 lead 1', 'C3 lead 2']);
  one.settle('A', 1, store('old'));
  expect(take()).toEqual(['B2 old']);
  one.claim('D', 4, question);
  expect(take()).toEqual([]);
  one.settle('C', 2, store('new'));
  expect(take()).toEqual(['D4 new']);
  one.claim('E', 5, question);
  expect(take()).toEqual(['E5 new']);
});

test('a leader that dies or takes too long › the next one leads, the late reply is not taken', () => {
  const { one, take, store, pass } = shelf();
  for (const [call, child] of ['A', 'B', 'C'].entries()) one.claim(child, call, question);
  one.forget('A');
  expect(take()).toEqual(['A0 lead 1', 'B1 lead 2']);
  pass(FLIGHT_MS + 1);
  one.sweep();
  expect(take()).toEqual(['C2 lead 3']);
  one.settle('B', 2, store('late'));
  one.settle('C', 3, store('x'));
  expect(take()).toEqual([]);
  one.claim('D', 4, question);
  expect(take()).toEqual(['D4 x']);
});

test('a leader that fails › the others are told, and one who would not wait is told at once', () => {
  const { one, take } = shelf();
  one.claim('A', 1, question);
  one.claim('B', 2, { ...question, wait: false });
  one.claim('C', 3, question);
  expect(take()).toEqual(['A1 lead 1', 'B2 busy']);
  one.settle('A', 1, null);
  expect(take()).toEqual(['C3 busy']);
});

test('a reply past its time › computed anew', () => {
  const { one, take, store, pass } = shelf();
  one.claim('A', 1, question);
  one.settle('A', 1, store('x'));
  pass(60_000);
  one.claim('B', 2, question);
  expect(take()).toEqual(['A1 lead 1', 'B2 lead 2']);
});

test("somebody else's flight › cannot be settled", () => {
  const { one, take, store } = shelf();
  one.claim('A', 1, question);
  one.settle('B', 1, store('forged'));
  one.claim('C', 2, question);
  expect(take()).toEqual(['A1 lead 1']);
});
