import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { forEachImage } from '../../../src/data/images/each-image.js';
import { imageFiles } from '../../../src/data/sets/dataset.js';

const forEachOf20 = (visit: (index: number) => Promise<unknown>) =>
  forEachImage(
    '/nowhere',
    imageFiles(Array(20).fill('1.jpg'), Array(20).fill(0)),
    { action: 'look', concurrency: 3 },
    visit,
  );

test('forEachImage() calls the function once for each index, with bounded concurrency', async () => {
  const seen: number[] = [];
  let now = 0;
  let most = 0;
  await forEachOf20(async (index) => {
    most = Math.max(most, ++now);
    await setImmediate();
    seen.push(index);
    now--;
  });
  assert.deepEqual([seen.sort((a, b) => a - b), most], [Array.from({ length: 20 }, (_, i) => i), 3]);
});

test('forEachImage() starts no calls after a failure, and throws it when all calls have ended', async () => {
  let begun = 0;
  let ended = 0;
  const work = async (index: number) => {
    begun++;
    await setImmediate();
    ended++;
    if (index === 1) throw new Error('one');
  };
  await assert.rejects(forEachOf20(work), /one/);
  assert.ok(begun < 20);
  assert.equal(ended, begun);
});
