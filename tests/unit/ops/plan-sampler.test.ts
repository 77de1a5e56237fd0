import { PlanSampler } from '../../../server/ops/plan-sampler';

const slow = (text: string, ms: number, failed = false) => ({ text, ms, failed });
const HOUR = 60 * 60_000;

test('several slow statements › the worst is taken, once, and nothing of the others is kept', () => {
  const sampler = new PlanSampler(() => 1);
  for (const one of [slow('SELECT 1 FROM a', 200), slow('SELECT 1 FROM b', 900), slow('SELECT 1 FROM c', 300)]) sampler.offer(one);
  expect(sampler.take()).toMatchObject({ text: 'SELECT 1 FROM b' });
  expect(sampler.take()).toBeUndefined();
});

test('a statement whose plan was taken › not again within the hour, whatever its values; then again', () => {
  let now = 1;
  const sampler = new PlanSampler(() => now);
  sampler.offer(slow('SELECT 1 FROM a WHERE id = 7', 200));
  expect(sampler.take()).toBeDefined();
  sampler.offer(slow('SELECT 1 FROM a WHERE id = 8', 9_000));
  sampler.offer(slow('SELECT 1 FROM b', 150));
  expect(sampler.take()).toMatchObject({ text: 'SELECT 1 FROM b' });
  now += HOUR + 1;
  sampler.offer(slow('SELECT 1 FROM a WHERE id = 9', 200));
  expect(sampler.take()).toMatchObject({ text: 'SELECT 1 FROM a WHERE id = 9' });
});

test.each([
  ['FETCH 500 FROM export_rows', false],
  ['DECLARE export_rows CURSOR FOR SELECT 1', false],
  ['EXPLAIN (FORMAT JSON) SELECT 1', false],
  ['SELECT 1', true],
])('%s, failed: %s › left alone', (text, failed) => {
  const sampler = new PlanSampler(() => 1);
  sampler.offer(slow(text, 5_000, failed));
  expect(sampler.take()).toBeUndefined();
});
