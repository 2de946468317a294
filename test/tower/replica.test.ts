/** Which rows of a batch each replica has. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { rowsOf, towerName, towerNumber } from '../../src/tower/replica.js';

test('rowsOf() gives each image to one replica, in order, and all about as many', () => {
  for (const count of [1, 2, 3, 7]) {
    for (const images of [0, 1, 2, 6, 7, 20, 128]) {
      const rows = Array.from({ length: count }, (_, index) => rowsOf(images, { index, count }));
      assert.deepEqual([rows[0]!.from, rows.at(-1)!.to], [0, images]);
      for (const [i, { from }] of rows.entries()) if (i > 0) assert.equal(from, rows[i - 1]!.to);
      const sizes = rows.map(({ from, to }) => to - from);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join());
    }
  }
});

test('towers are numbered pair by pair, and named by their pair if there are several', () => {
  const pair = { index: 2, count: 3 };
  assert.deepEqual([towerNumber({ part: 1, replica: pair }), towerNumber({ part: 'whole', replica: pair })], [5, 2]);
  assert.deepEqual(
    [towerName({ part: 1, replica: pair }), towerName({ part: 'whole', replica: pair })],
    ['tower 1 of pair 2', 'net 2'],
  );
  assert.equal(towerName({ part: 'whole', replica: { index: 0, count: 1 } }), 'tower 0');
});
