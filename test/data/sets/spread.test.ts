/** Samples that are spread over a data set. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { imageFiles, type PixelDataset } from '../../../src/data/sets/dataset.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { spread, withTrainingSample } from '../../../src/data/sets/spread.js';

const part = (labels: readonly number[], size: number) => ({
  count: labels.length,
  images: Uint8Array.from(labels.flatMap((_, i) => Array<number>(size).fill(i))),
  labels: Uint8Array.from(labels),
});
const INFO = { name: 'n', source: 's', classNames: [] };

function pixels(train: number, test: number): PixelDataset {
  const labelsOf = (count: number) => Array.from({ length: count }, (_, i) => i % 10);
  const parts = { train: part(labelsOf(train), 6), test: part(labelsOf(test), 6) };
  return { kind: 'pixels', height: 2, width: 3, channels: 1, ...INFO, ...parts };
}

test('spread() takes an image of each equal part, and every class of classes that take turns', () => {
  const chosen = spread(60, 10, 0);
  for (const [i, index] of chosen.entries()) assert.equal(Math.floor(index / 6), i);
  assert.deepEqual([...spread(5, 5, 3)], [0, 1, 2, 3, 4]);
  assert.equal(new Set(Array.from(spread(6000, 1000, 0), (index) => index % 10)).size, 10);
});

test('withTrainingSample() has as many training images as there are test images, with their labels', () => {
  const { train, test: sample } = withTrainingSample(pixels(60, 20));
  assert.equal(sample.count, 20);
  const chosen = [...spread(60, 20, 0)];
  assert.deepEqual(
    [...sample.labels],
    chosen.map((index) => index % 10),
  );
  assert.deepEqual(
    [...sample.images],
    chosen.flatMap((index) => Array<number>(6).fill(index)),
  );
  assert.equal(train.count, 60);
  for (const { buffer } of [sample.images, sample.labels]) assert.ok(buffer instanceof SharedArrayBuffer);
});

test('withTrainingSample() has all training images if there are no more than test images', () => {
  const few = pixels(15, 20);
  assert.equal(withTrainingSample(few).test, few.train);
});

test('withTrainingSample() takes files with their places in shards', () => {
  const names = Array.from({ length: 12 }, (_, i) => `train/a/${i}.jpg`);
  const train = {
    ...imageFiles(
      names,
      names.map((_, i) => i),
    ),
    places: {
      shards: ['x.tar', 'y.tar'],
      shard: Uint32Array.from(names, (_, i) => i % 2),
      offset: Float64Array.from(names, (_, i) => 512 * i),
      bytes: Float64Array.from(names, (_, i) => 100 + i),
    },
  };
  const dataset = { kind: 'files' as const, ...INFO, folder: 'f', ignored: 0, train, test: imageFiles(['t'], [0]) };
  const { count, labels, names: paths, places } = withTrainingSample(dataset).test;
  const [index] = spread(12, 1, 0);
  assert.deepEqual([count, labels[0], nameAt(paths, 0)], [1, index, `train/a/${index}.jpg`]);
  assert.deepEqual([places!.shard[0], places!.offset[0], places!.bytes[0]], [index! % 2, 512 * index!, 100 + index!]);
  assert.deepEqual(places!.shards, ['x.tar', 'y.tar']);
});
