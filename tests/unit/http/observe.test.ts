import { withoutNames } from '../../../server/http/middleware/observe';

test.each([
  ['/api/admin/customers/501/visits', { id: '501' }, '/api/admin/customers/501/visits'],
  ['/api/admin/vehicles/8SNF%20141/visits', { plate: '8SNF 141' }, '/api/admin/vehicles/:plate/visits'],
  ['/api/admin/vehicles/8SNF141/profile/', { key: '8SNF141' }, '/api/admin/vehicles/:key/profile/'],
  [
    '/api/admin/technicians/6f1c2d3e-0000-4000-8000-000000000001',
    { id: '6f1c2d3e-0000-4000-8000-000000000001' },
    '/api/admin/technicians/6f1c2d3e-0000-4000-8000-000000000001',
  ],
])('the log line of %s › ids stay, names do not', (path, params, shown) => {
  expect(withoutNames(path, params)).toBe(shown);
});
