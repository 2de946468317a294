import assert from 'node:assert/strict';
import test from 'node:test';
import { startAhead } from '../../../src/data/batches/ahead.js';

/** Work that ends when the test says so. */
function controlled() {
  const ends: (() => void)[] = [];
  let most = 0;
  let running = 0;
  const start = (i: number) => {
    most = Math.max(most, ++running);
    return new Promise<number>((resolve) => {
      ends[i] = () => {
        running--;
        resolve(i);
      };
    });
  };
  return { start, ends, most: () => most };
}

test('startAhead() returns results in order, whatever the order in which they come', async () => {
  const { start, ends } = controlled();
  const next = startAhead(2, 6, 3, start);
  const found: number[] = [];
  const asked = (async () => {
    for (let i = 2; i < 6; i++) found.push(await next());
  })();
  ends[4]!();
  ends[3]!();
  await new Promise(setImmediate);
  assert.deepEqual(found, []);
  ends[2]!();
  await new Promise(setImmediate);
  ends[5]!();
  await asked;
  assert.deepEqual(found, [2, 3, 4, 5]);
});

test('startAhead() has as many under way as it may, and no more', async () => {
  for (const ahead of [1, 2, 5]) {
    const { start, ends, most } = controlled();
    const next = startAhead(0, 8, ahead, start);
    for (let i = 0; i < 8; i++) {
      const result = next();
      assert.equal(ends.length, Math.min(8, i + ahead), 'before the result');
      ends[i]!();
      assert.equal(await result, i);
      assert.equal(ends.length, Math.min(8, i + 1 + ahead), 'while it is used');
    }
    assert.equal(most(), ahead);
  }
});

test('startAhead() rejects where the failed result is, and other failures go unnoticed', async () => {
  const next = startAhead(0, 4, 4, async (i) => {
    if (i > 0) throw new Error(`${i}`);
    return i;
  });
  assert.equal(await next(), 0);
  await assert.rejects(next(), { message: '1' });
  await new Promise(setImmediate); // an unhandled rejection would end the test
});
