import assert from 'node:assert/strict';
import test from 'node:test';
import { countRight } from '../../src/tower/scores.js';

/** Whether one row is right. */
const isRight = (scores: number[], label: number, best: number) => countRight(scores, Int32Array.of(label), best) === 1;

test('countRight() counts the rows whose label is among the best', () => {
  const scores = [0.1, 0.9, 0.5, 3, 2, 1, -1, -2, -3];
  const labels = Int32Array.of(1, 1, 2);
  assert.deepEqual(
    [1, 2, 3].map((best) => countRight(scores, labels, best)),
    [1, 2, 3],
  );
});

test('countRight() of equal scores takes the first as higher', () => {
  assert.deepEqual([isRight([2, 2, 1], 0, 1), isRight([2, 2, 1], 1, 1), isRight([2, 2, 1], 1, 2)], [true, false, true]);
  // A net that says the same of everything is right once in as many classes.
  const same = countRight(
    new Float32Array(100),
    Int32Array.from({ length: 10 }, (_, i) => i),
    1,
  );
  assert.equal(same, 1);
});

test('countRight() is never right about a score that is not a number, nor because of one', () => {
  const { NaN: nan } = Number;
  assert.equal(isRight([nan, 1, 2], 0, 1), false);
  assert.equal(isRight([nan, 1, 2], 0, 5), false);
  assert.equal(isRight([nan, nan, nan], 1, 5), false);
  assert.equal(isRight([nan, 1, 2], 2, 1), false);
  assert.equal(isRight([nan, 1, 2], 2, 2), true);
});

test('countRight() with infinities', () => {
  const { POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
  assert.deepEqual(
    [isRight([high, 1, low], 0, 1), isRight([high, 1, low], 2, 2), isRight([low, low], 0, 1)],
    [true, false, true],
  );
});

test('countRight() of fewer classes than places is right of all', () => {
  assert.equal(countRight([3, 2, 1, 1, 2, 3], Int32Array.of(2, 0), 5), 2);
});

test('countRight() of no rows is 0', () => {
  assert.equal(countRight([], new Int32Array(0), 1), 0);
});
