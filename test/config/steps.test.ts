/** Lists of steps, as `--trace-steps` takes them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasStep, rangesOf } from '../../src/config/steps.js';

test('rangesOf() reads steps and ranges', () => {
  assert.deepEqual(rangesOf('5'), [[5, 5]]);
  assert.deepEqual(rangesOf('100-102'), [[100, 102]]);
  assert.deepEqual(rangesOf('5,9-11'), [
    [5, 5],
    [9, 11],
  ]);
});

test('rangesOf() refuses what is not a list of steps from 1 up', () => {
  const wrong = ['', '0', '0-2', '3-2', '-1', '1-', '1,,2', '1, 2', '1.5', 'all', '1000000001', '1-2-3', '٣'];
  for (const text of [...wrong, Array(101).fill(1).join()]) assert.equal(rangesOf(text), undefined, text);
});

test('hasStep() includes both ends of a range', () => {
  const ranges = rangesOf('5,9-11');
  const found = [4, 5, 6, 8, 9, 11, 12].filter((step) => hasStep(ranges, step));
  assert.deepEqual(found, [5, 9, 11]);
  assert.deepEqual([hasStep(ranges, 6, 8), hasStep(ranges, 6, 9), hasStep(ranges, 11, 90)], [false, true, true]);
});
