/** The soak test's own arithmetic; `node dist/scripts/soak.js` does the rest. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { slopeOf } from '../../scripts/soak.js';

test('slopeOf() is the slope of the nearest line', () => {
  assert.equal(slopeOf([5, 7, 9, 11]), 2);
  assert.equal(slopeOf([3, 3, 3]), 0);
  assert.ok(Math.abs(slopeOf([1, 0, 1, 0, 1])) < 1e-12);
  assert.equal(slopeOf([0, 0, 0, 4]), 1.2);
});
