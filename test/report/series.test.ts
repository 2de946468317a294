import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { CurveBuilder, EvenList, MAX_POINTS, NewestList } from '../../src/report/series.js';

test('CurveBuilder keeps the mean, the smallest and the largest value over all steps', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 5000 }), (values) => {
      const builder = new CurveBuilder();
      for (const [i, value] of values.entries()) builder.add(i + 1, value);
      const { step, mean, low, high } = builder.curve();
      assert.ok(step.length <= MAX_POINTS && [mean, low, high].every((list) => list.length === step.length));
      assert.equal(step.at(-1), values.length);
      let at = 0;
      for (const [i, last] of step.entries()) {
        const own = values.slice(at, last);
        assert.ok(Math.abs(mean[i]! - own.reduce((sum, each) => sum + each, 0) / own.length) < 1e-9);
        assert.deepEqual([low[i], high[i]], [Math.min(...own), Math.max(...own)]);
        at = last;
      }
    }),
    { numRuns: 30 },
  );
});

test('CurveBuilder: a value that is not finite makes the mean of its point null, and no other', () => {
  const builder = new CurveBuilder();
  for (let step = 1; step <= 2 * MAX_POINTS; step++)
    builder.add(step, step === 5 ? Number.NaN : step === 8 ? Number.POSITIVE_INFINITY : 1);
  const { step, mean, low, high } = builder.curve();
  assert.deepEqual(step.slice(0, 5), [2, 4, 6, 8, 10]);
  assert.deepEqual(mean.slice(0, 5), [1, 1, null, null, 1]);
  assert.deepEqual([low.slice(0, 5), high.slice(0, 5)], [Array(5).fill(1), Array(5).fill(1)]);
  assert.deepEqual(new CurveBuilder().curve(), { step: [], mean: [], low: [], high: [] });
});

test('EvenList keeps the first, the newest, and evenly spaced entries; NewestList the newest', () => {
  for (const count of [0, 1, 999, 1000, 1001, 4321]) {
    const [even, newest] = [new EvenList<number>(), new NewestList<number>(10)];
    for (let i = 0; i < count; i++) for (const list of [even, newest]) list.add(i);
    const kept = even.list();
    assert.ok(
      kept.length <= MAX_POINTS + 1 && kept.length >= Math.min(count, MAX_POINTS / 2),
      `${count} ${kept.length}`,
    );
    assert.deepEqual([kept[0], kept.at(-1)], count === 0 ? [undefined, undefined] : [0, count - 1]);
    const gaps = new Set(kept.slice(1, -1).map((each, i) => each - kept[i]!));
    assert.ok(gaps.size <= 1, [...gaps].join());
    assert.deepEqual(
      newest.list(),
      Array.from({ length: Math.min(10, count) }, (_, i) => Math.max(0, count - 10) + i),
    );
  }
});
