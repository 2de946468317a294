import assert from 'node:assert/strict';
import test from 'node:test';
import { createTransform, viewsOf } from '../../../src/data/images/augment.js';
import { openFeeder } from '../../../src/data/index.js';
import { ConfigError } from '../../../src/errors.js';
import { contents } from '../batches/feed.js';
import { PLAIN, smallDataset } from '../sets.js';

test('viewsOf() returns the ten views of the paper: corners and middle of 224 in 256, then mirrored', () => {
  const places = viewsOf(10, 256, 224).map(({ top, left, flip }) => [top, left, flip]);
  const five = [
    [0, 0],
    [0, 32],
    [32, 0],
    [32, 32],
    [16, 16],
  ];
  assert.deepEqual(places, [...five.map((place) => [...place, false]), ...five.map((place) => [...place, true])]);
  assert.ok(viewsOf(10, 256, 224).every(({ brightness, contrast }) => brightness === 1 && contrast === 1));
  assert.deepEqual(viewsOf(1, 256, 224), [viewsOf(10, 256, 224)[4]]);
});

test('viewsOf() refuses ten views of an image no larger than the window', () => {
  assert.throws(
    () => viewsOf(10, 28, 28),
    (error) => error instanceof ConfigError && /data\.resize is 28, the same as net\.inputSize/.test(error.message),
  );
});

/** 5 test images in batches of 2, 2 and 1, windows of 5 in 8 pixels. */
const OPTIONS = { dataset: smallDataset(4, 5, true), batchSize: 2, inputSize: 5, inputChannels: 1, seed: 1 };
const DATA = {
  ...PLAIN,
  ...{ resize: 8, randomCrop: true, flip: true, brightness: 0, contrast: 0, saturation: 0, mean: [10], scale: 0.5 },
  workers: 0,
};

for (const workers of [0, 2]) {
  test(`test() returns each test image in ten views, with ${workers} threads`, async (t) => {
    const feeder = openFeeder({ ...OPTIONS, data: { ...DATA, workers }, views: 10 });
    t.after(() => feeder.close());
    assert.equal(feeder.testBatches, 3);
    const paint = createTransform(OPTIONS.dataset, DATA, 5, 1);
    const changes = viewsOf(10, 8, 5);
    for (let number = 0; number < 3; number++) {
      for (const [view, expectedChanges] of changes.entries()) {
        const batch = await feeder.test(number, view);
        assert.equal(batch.count, number === 2 ? 1 : 2);
        const { images, labels } = contents(feeder, batch);
        for (let i = 0; i < batch.count; i++) {
          const index = number * 2 + i;
          const expected = new Float32Array(25);
          paint(expected, 0, OPTIONS.dataset.test.images, index * 16, expectedChanges);
          assert.deepEqual(images.slice(i * 25, i * 25 + 25), expected, `image ${index}, view ${view}`);
          assert.equal(labels[i], OPTIONS.dataset.test.labels[index]);
        }
        feeder.release(batch);
      }
    }
    await assert.rejects(feeder.test(0, 10), /there is no view 10/);
  });
}

test('test() without views returns each image once', async (t) => {
  const feeder = openFeeder({ ...OPTIONS, data: DATA });
  t.after(() => feeder.close());
  feeder.release(await feeder.test(2));
  await assert.rejects(feeder.test(0, 1), /there is no view 1/);
});
