import { allowsVersion, etagOf } from '../../../lib/etag';

describe('etagOf', () => {
  test('the version in front; another representation › another hash behind', () => {
    expect(etagOf(7, 'a')).toMatch(/^7\.[\w-]{16}$/);
    expect(etagOf(7, 'a')).toBe(etagOf(7, 'a'));
    expect(etagOf(7, 'a')).not.toBe(etagOf(7, 'b'));
  });
});

describe('allowsVersion', () => {
  test.each<[string | null, boolean]>([
    [null, true],
    ['*', true],
    ['7.abc', true],
    ['"7.abc"', true],
    ['W/"7.abc"', true],
    ['7', true],
    ['6.x, 7.y', true],
    ['6.abc', false],
    ['70.abc', false],
    ['17.abc', false],
    ['', false],
    ['made up', false],
  ])('%p against version 7 › %p', (ifMatch, allowed) => {
    expect(allowsVersion(ifMatch, 7)).toBe(allowed);
  });
});
