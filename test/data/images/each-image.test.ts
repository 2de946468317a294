import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { forEachIndex } from '../../../src/data/images/each-image.js';

test('forEachIndex() calls each index once, with bounded concurrency', async () => {
  const seen: number[] = [];
  let now = 0;
  let most = 0;
  await forEachIndex(20, 3, async (index) => {
    most = Math.max(most, ++now);
    await setImmediate();
    seen.push(index);
    now--;
  });
  assert.deepEqual([seen.sort((a, b) => a - b), most], [Array.from({ length: 20 }, (_, i) => i), 3]);
});

test('forEachIndex() starts nothing after a failure, and throws it when all calls have ended', async () => {
  let begun = 0;
  let ended = 0;
  const work = async (index: number) => {
    begun++;
    await setImmediate();
    ended++;
    if (index === 1) throw new Error('one');
  };
  await assert.rejects(forEachIndex(20, 3, work), /one/);
  assert.ok(begun < 20);
  assert.equal(ended, begun);
});
