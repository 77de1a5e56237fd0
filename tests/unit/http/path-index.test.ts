import fc from 'fast-check';
import { PathIndex } from '../../../server/http/path-index';

const index = (...paths: string[]) => {
  const paths_ = new PathIndex<string>();
  for (const path of paths) paths_.add(path, path);
  return paths_;
};
const any = () => true;

test('literal segments win over parameters, whatever was declared first', () => {
  const paths = index('/a/:id', '/a/recent', '/a/:id/notes', '/a/recent/:day');
  expect(paths.find('/a/recent', any)).toEqual({ value: '/a/recent', params: {} });
  expect(paths.find('/a/5', any)).toEqual({ value: '/a/:id', params: { id: '5' } });
  expect(paths.find('/a/recent/notes', any)).toEqual({ value: '/a/recent/:day', params: { day: 'notes' } });
});

test('a literal that leads nowhere, or that is not taken › the parameter', () => {
  const paths = index('/a/recent/x', '/a/:id/notes', '/a/:id', '/a/recent');
  expect(paths.find('/a/recent/notes', any)).toEqual({ value: '/a/:id/notes', params: { id: 'recent' } });
  expect(paths.find('/a/recent', (value) => value.includes(':'))).toEqual({ value: '/a/:id', params: { id: 'recent' } });
});

test('one trailing slash is tolerated; empty segments and unknown paths are not', () => {
  const paths = index('/a/:id', '/');
  expect(paths.find('/a/5/', any)?.value).toBe('/a/:id');
  expect(paths.find('/', any)?.value).toBe('/');
  for (const path of ['/a//', '/a/', '//a', '/b/5', '/a/5/6']) expect(paths.find(path, any)).toBeUndefined();
});

test('parameters are decoded; what cannot be is refused', () => {
  const paths = index('/a/:plate');
  expect(paths.find('/a/AB%20%2F1', any)?.params).toEqual({ plate: 'AB /1' });
  expect(() => paths.find('/a/%zz', any)).toThrow('Malformed request');
});

test('one place under two parameter names › refused at once, not mixed up later', () => {
  expect(() => index('/a/:id', '/a/:plate')).toThrow('/a/:plate');
});

test('any segments › found again with their parameters', () => {
  const segment = fc.stringMatching(/^[a-z0-9 %/é-]{1,8}$/);
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (values) => {
      const names = values.map((_, at) => `p${at}`);
      const paths = index(`/x/${names.map((name) => `:${name}`).join('/')}`);
      const found = paths.find(`/x/${values.map(encodeURIComponent).join('/')}`, any);
      expect(found?.params).toEqual(Object.fromEntries(names.map((name, at) => [name, values[at]])));
    }),
  );
});
