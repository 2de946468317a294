import assert from 'node:assert/strict';
import test from 'node:test';
import { openDataset, openFeeder, slotViews } from '../../../src/data/index.js';
import type { PixelDataset } from '../../../src/data/sets/dataset.js';
import { countClasses, hasTestImages } from '../../../src/data/sets/open.js';
import { levelsOf } from '../../../src/data/statistics/levels.js';
import { statisticsOfPixels } from '../../../src/data/statistics/statistics.js';
import { ConfigError } from '../../../src/errors.js';
import { PLAIN } from '../sets.js';

const make = (source: string, classes = 10, resize = 16, seed = 1, channels: 1 | 3 = 3) =>
  openDataset(source, classes, channels, { resize, seed }) as PixelDataset;

test('makeSynthetic() makes the same images for a seed, a class looks like itself, and memory is bounded', () => {
  const { train, test: tests, height, width, channels, classNames } = make('synthetic');
  assert.deepEqual([train.count, tests.count, height, width, channels], [10_000, 256, 16, 16, 3]);
  assert.equal(classNames.length, 10);
  assert.deepEqual(make('synthetic').train, train);
  assert.notDeepEqual(make('synthetic', 10, 16, 2).train.images, train.images);
  assert.deepEqual(new Set(train.labels), new Set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
  const size = 16 * 16 * 3;
  const distance = (a: number, b: number) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += Math.abs(train.images[a * size + i]! - tests.images[b * size + i]!);
    return sum / size;
  };
  for (let label = 0; label < 10; label++) {
    const others = [...Array(10).keys()].filter((other) => other !== label).map((other) => distance(label, other));
    assert.ok(distance(label, label) < Math.min(...others), `class ${label}`);
  }
  const large = make('synthetic:50000', 1000, 256);
  assert.ok(large.train.images.length <= 2 ** 24 && large.train.labels.length === 50_000);
  assert.equal(make('synthetic:600', 1000, 4).train.labels[511], 511);
  assert.deepEqual([make('synthetic:3').train.count, make('synthetic:3').test.count], [3, 3]);
  assert.throws(
    () => make('synthetic:0'),
    (error: Error) => error instanceof ConfigError && /names 0 images/.test(error.message),
  );
  assert.deepEqual([countClasses('synthetic'), hasTestImages('synthetic:5')], [undefined, true]);
});

test('images beyond those in memory are the same again, with their labels, in batches and in the mean', async (t) => {
  const dataset = make('synthetic:1200', 7, 4, 1, 1);
  const { distinct, images, labels } = dataset.train;
  assert.equal(distinct, 512);
  const data = { ...PLAIN, workers: 0 };
  const feeder = openFeeder({ dataset, batchSize: 1200, inputSize: 4, inputChannels: 1, seed: 1, data });
  t.after(() => feeder.close());
  const batch = await feeder.train(1);
  const views = slotViews(feeder.slots[batch.slot]!, feeder.layout);
  const order = feeder.imagesOf(1).map(Number);
  for (const [place, index] of order.entries()) {
    assert.equal(views.labels[place], labels[index]);
    assert.equal(labels[index], labels[index % distinct]);
    assert.equal(views.images[16 * place + 5], images[16 * (index % distinct) + 5]);
  }
  const { mean, images: counted } = statisticsOfPixels(dataset, 4);
  const { mean: level, images: measured } = await levelsOf(dataset, { resize: 4, channels: 1, concurrency: 1 });
  const all = images.reduce((sum, value) => sum + value, 0) / images.length;
  assert.ok(measured === 1200 && Math.abs(level[0]! - all) < 1e-9);
  const first = Array.from({ length: distinct }, (_, i) => images[16 * i]!).reduce((sum, value) => sum + value, 0);
  assert.ok(counted === 1200 && Math.abs(mean[0]! - first / distinct) < 1e-3);
});
