import assert from 'node:assert/strict';
import test from 'node:test';
import { difference } from '../../src/train/verify.js';

test('difference() is the largest, and its share of the largest value of the reference', () => {
  const found = difference(Float32Array.of(1, 2, -4), Float32Array.of(1, 2.5, -8));
  assert.deepEqual(found, { absolute: 4, relative: 0.5 });
});

test('difference() of equal tensors is 0, also for zeros and empty tensors', () => {
  for (const values of [[1, 2], [0, 0], []]) {
    const tensor = Float32Array.from(values);
    assert.deepEqual(difference(tensor, tensor), { absolute: 0, relative: 0 });
  }
});

test('difference() shows NaN and infinities of either side', () => {
  const [nan, one] = [Float32Array.of(1, Number.NaN), Float32Array.of(1, 1)];
  assert.ok(Number.isNaN(difference(nan, one).relative));
  assert.ok(Number.isNaN(difference(one, nan).relative));
  assert.equal(
    difference(Float32Array.of(Number.POSITIVE_INFINITY), Float32Array.of(1)).relative,
    Number.POSITIVE_INFINITY,
  );
  assert.equal(difference(Float32Array.of(1), Float32Array.of(0)).relative, Number.POSITIVE_INFINITY);
});
