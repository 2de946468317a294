/** How Winograd's convolutions cut a map into tiles. Where they save enough, `winograd-conv.test.ts` tests. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { tilingOf } from '../../../src/native/layers/winograd-tiling.js';

test('tilingOf() returns the tiling with the fewest products', () => {
  assert.deepEqual(tilingOf(13, 3), { size: 13, taps: 3, outputs: 5, tiles: 3 });
  assert.deepEqual(tilingOf(27, 5), { size: 27, taps: 5, outputs: 4, tiles: 7 });
  assert.deepEqual(tilingOf(8, 3), { size: 8, taps: 3, outputs: 4, tiles: 2 });
  assert.equal(tilingOf(55, 11), undefined);
});
