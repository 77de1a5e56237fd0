import fc from 'fast-check';
import { freshnessOf } from '../../../lib/cache/freshness';
import { type StoredReply, VersionedReplies } from '../../../lib/cache/versioned-replies';

const reply = (text: string, storedAt = 0): StoredReply => ({ status: 200, headers: {}, parts: [text, '', ''], etag: null, storedAt });
const shelf = (maxBytes = 1e6) => new VersionedReplies({ maxBytes });

describe('replies under versions', () => {
  test('stored under the version of now › found; after a write to one of its tags › not', () => {
    const replies = shelf();
    const version = replies.versionOf(['a', 'b']);
    replies.set('k', version, reply('x'));
    expect(replies.get('k', replies.versionOf(['a', 'b']))?.parts[0]).toBe('x');
    replies.invalidate(['c']);
    expect(replies.get('k', replies.versionOf(['a', 'b']))).not.toBeNull();
    replies.invalidate(['b']);
    expect(replies.versionOf(['a', 'b'])).toBe(2);
    expect(replies.get('k', replies.versionOf(['a', 'b']))).toBeNull();
  });

  test('old rows read, then the write announced, then stored › never found', () => {
    const replies = shelf();
    const version = replies.versionOf(['a']);
    replies.invalidate(['a']);
    replies.set('k', version, reply('old'));
    expect(replies.get('k', replies.versionOf(['a']))).toBeNull();
  });

  test('tags that somebody invents › memory stays bounded, and no forgotten tag gets its old version back', () => {
    const replies = shelf();
    replies.set('k', replies.versionOf(['a']), reply('old'));
    replies.invalidate(['a']);
    for (let index = 0; index < 100_001; index += 1) replies.invalidate([`t${index}`]);
    expect(replies.get('k', replies.versionOf(['a']))).toBeNull();
    expect(replies.get('k', 0)).toBeNull();
  });

  test('more bytes than allowed › the least used go, and one that is too large is not kept at all', () => {
    const replies = shelf(100_000);
    for (let index = 0; index < 50; index += 1) replies.set(`k${index}`, 0, reply('x'.repeat(8_000)));
    expect(replies.bytes).toBeLessThanOrEqual(100_000);
    expect(replies.evictions).toBeGreaterThan(30);
    replies.set('big', 0, reply('x'.repeat(20_000)));
    expect(replies.get('big', 0)).toBeNull();
  });

  /** A model: rows with values, fills that read them at some moment and store later, writes that commit and announce. */
  test('any interleaving of fills and writes › what is found is never older than the last announced write', () => {
    const tags = ['a', 'b', 'c'];
    const step = fc.oneof(
      fc.record({ kind: fc.constant('begin' as const), key: fc.nat(2), tags: fc.subarray(tags, { minLength: 1 }) }),
      fc.record({ kind: fc.constant('store' as const), which: fc.nat(10) }),
      fc.record({ kind: fc.constant('write' as const), tag: fc.constantFrom(...tags) }),
      fc.record({ kind: fc.constant('clear' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const replies = shelf();
        const rows = new Map(tags.map((tag) => [tag, 0]));
        const read = (wanted: string[]) => wanted.map((tag) => `${tag}${rows.get(tag)}`).join();
        const fills: { key: string; tags: string[]; version: number; text: string }[] = [];
        // One key stands for one set of tags, as one endpoint does.
        const keyOf = (key: number, wanted: string[]) => `${key}:${wanted.join()}`;
        const asked = new Map<string, string[]>();
        for (const one of steps) {
          if (one.kind === 'begin') {
            const key = keyOf(one.key, one.tags);
            asked.set(key, one.tags);
            const version = replies.versionOf(one.tags);
            fills.push({ key, tags: one.tags, version, text: read(one.tags) });
          } else if (one.kind === 'store') {
            const [fill] = fills.splice(one.which, 1);
            if (fill) replies.set(fill.key, fill.version, reply(fill.text));
          } else if (one.kind === 'write') {
            rows.set(one.tag, (rows.get(one.tag) ?? 0) + 1);
            replies.invalidate([one.tag]);
          } else replies.clear();
          for (const [key, wanted] of asked) {
            const found = replies.get(key, replies.versionOf(wanted));
            if (found) expect(found.parts[0]).toBe(read(wanted));
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('what age makes of a reply', () => {
  const policy = { freshMs: 60_000, staleMs: 240_000 };
  test.each([
    ['just stored', 0, 'fresh'],
    ['a moment before its time', 59_999, 'fresh'],
    ['at its time', 60_000, 'stale'],
    ['a moment before its end', 299_999, 'stale'],
    ['at its end', 300_000, 'gone'],
    ["by another machine's clock a little ahead", -60_000, 'fresh'],
    ['far in the future', -60_001, 'gone'],
  ])('%s › as declared', (_when, age, expected) => {
    expect(freshnessOf(1_000_000 - age, 1_000_000, policy)).toBe(expected);
  });

  test('without a stale time › fresh or gone', () => {
    expect(freshnessOf(0, 60_000, { freshMs: 60_000, staleMs: 0 })).toBe('gone');
  });
});
