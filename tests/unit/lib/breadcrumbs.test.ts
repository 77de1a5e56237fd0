import fc from 'fast-check';
import { Breadcrumbs, CrumbReader, NO_CRUMB } from '../../../lib/breadcrumbs';

function watched(): { crumbs: Breadcrumbs; reader: CrumbReader } {
  const crumbs = new Breadcrumbs();
  crumbs.watch();
  return { crumbs, reader: new CrumbReader(crumbs.memory) };
}

test('nobody watches › nothing is kept', () => {
  const crumbs = new Breadcrumbs();
  expect(crumbs.enter()).toBe(NO_CRUMB);
  expect(new CrumbReader(crumbs.memory).read(0)).toEqual({ beats: 0, inHand: [], last: null });
});

test('two requests › oldest first with id, route and age; the last is the one that went on last, fresh until the next beat', () => {
  const { crumbs, reader } = watched();
  const a = crumbs.enter(100);
  const b = crumbs.enter(200);
  crumbs.setId(a, '0f9619ff-8b86-d011-b42d-00cf4fc964ff');
  crumbs.setRoute(a, 'listVehicles');
  crumbs.resume(a);
  const first = { id: '0f9619ff-8b86-d011-b42d-00cf4fc964ff', route: 'listVehicles', age: 400 };
  expect(reader.read(500)).toEqual({ beats: 0, inHand: [first, { id: null, route: null, age: 300 }], last: { ...first, fresh: true } });
  crumbs.beat();
  expect(reader.read(500).last?.fresh).toBe(false);
  crumbs.leave(a);
  expect(reader.read(500)).toMatchObject({ inHand: [{ age: 300 }], last: null });
  crumbs.resume(b);
  expect(reader.read(500).last).toEqual({ id: null, route: null, age: 300, fresh: true });
});

test('a mark for a request that has ended › does not hit the one that has taken its place', () => {
  const { crumbs, reader } = watched();
  const old = crumbs.enter(0);
  crumbs.leave(old);
  const fresh = crumbs.enter(10);
  crumbs.setId(old, 'old');
  crumbs.setRoute(old, 'old');
  crumbs.leave(old);
  expect(reader.read(10).inHand).toEqual([{ id: null, route: null, age: 0 }]);
  crumbs.leave(fresh);
  crumbs.resume(fresh);
  expect(reader.read(10).last).toBeNull();
});

test('more requests than the table holds › the rest is not kept, and harms nothing', () => {
  const { crumbs, reader } = watched();
  const all = Array.from({ length: 300 }, () => crumbs.enter(0));
  expect(all.filter((crumb) => crumb === NO_CRUMB)).toHaveLength(44);
  expect(reader.read(0).inHand).toHaveLength(256);
  for (const crumb of all) crumbs.leave(crumb);
  expect(reader.read(0).inHand).toEqual([]);
  expect(crumbs.enter(0)).not.toBe(NO_CRUMB);
});

test('one that the table has no room for runs › none of those in the table ran last, until one of them does', () => {
  const { crumbs, reader } = watched();
  const all = Array.from({ length: 256 }, () => crumbs.enter(0));
  expect(reader.read(0).last).toMatchObject({ fresh: true });
  const extra = crumbs.enter(0);
  expect(extra).toBe(NO_CRUMB);
  expect(reader.read(0).last).toBeNull();
  crumbs.resume(all[7] ?? NO_CRUMB);
  expect(reader.read(0).last).not.toBeNull();
  crumbs.resume(extra);
  expect(reader.read(0).last).toBeNull();
});

test('more routes than are kept, and long ones › no route, or its beginning', () => {
  const { crumbs, reader } = watched();
  const crumb = crumbs.enter(0);
  crumbs.setRoute(crumb, 'x'.repeat(100));
  expect(reader.read(0).inHand[0]?.route).toBe('x'.repeat(63));
  for (let route = 0; route < 600; route += 1) crumbs.setRoute(crumb, `route${route}`);
  expect(reader.read(0).inHand[0]?.route).toBeNull();
});

test('any order of events › the reader sees exactly what is in hand', () => {
  const event = fc.tuple(fc.constantFrom('enter', 'leave', 'resume'), fc.nat(20));
  fc.assert(
    fc.property(fc.array(event, { maxLength: 200 }), (events) => {
      const { crumbs, reader } = watched();
      const open = new Map<string, number>();
      let last: string | null = null;
      let count = 0;
      for (const [what, choice] of events) {
        const id = [...open.keys()][choice % Math.max(1, open.size)];
        if (what === 'enter') {
          count += 1;
          const fresh = `r${count}`;
          open.set(fresh, crumbs.enter(count));
          crumbs.setId(open.get(fresh) ?? NO_CRUMB, fresh);
          last = fresh;
        } else if (id !== undefined) {
          const crumb = open.get(id) ?? NO_CRUMB;
          if (what === 'resume') {
            crumbs.resume(crumb);
            last = id;
          } else {
            crumbs.leave(crumb);
            open.delete(id);
            if (last === id) last = null;
          }
        }
      }
      const { inHand, last: seen } = reader.read(1_000);
      expect(inHand.map(({ id }) => id).sort()).toEqual([...open.keys()].sort());
      expect(seen?.id ?? null).toBe(last);
    }),
  );
});
