import { missingConnections } from '../../../server/cluster/server-limit';

test.each([
  ['one instance, default server', { INSTANCES: 1, DB_POOL_MAX: 20, DB_RESERVE: 10 }, 100, 0],
  ['exactly what there is', { INSTANCES: 2, DB_POOL_MAX: 20, DB_RESERVE: 10 }, 50, 0],
  ['one too many', { INSTANCES: 2, DB_POOL_MAX: 20, DB_RESERVE: 10 }, 49, 1],
  ['five instances', { INSTANCES: 5, DB_POOL_MAX: 20, DB_RESERVE: 10 }, 100, 10],
])('connections of all instances and the reserve › %s › missing as many as the server lacks', (_what, arithmetic, serverMax, missing) => {
  expect(missingConnections(arithmetic, serverMax)).toBe(missing);
});
