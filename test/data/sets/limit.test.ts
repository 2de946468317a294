import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { openDataset, openImages, packImages } from '../../../src/data/index.js';
import type { FileDataset, PixelDataset } from '../../../src/data/sets/dataset.js';
import { choose, withLimit } from '../../../src/data/sets/limit.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { filesKey, statisticsFile } from '../../../src/data/statistics/cache.js';
import { folderOf, imageFolderOf, smallDataset } from '../sets.js';

/** 100 images of class 0, 30 of class 1, 3 of class 2. */
const LABELS = [...Array(100).fill(0), ...Array(30).fill(1), ...Array(3).fill(2)];

function countsOf(chosen: Uint32Array): number[] {
  return [0, 1, 2].map((label) => [...chosen].filter((index) => LABELS[index] === label).length);
}

test('choose() gives each class its share and at least one image, and a larger limit keeps the smaller choice', () => {
  const forty = choose(LABELS, 40, 1);
  const [many, some, few] = countsOf(forty);
  assert.ok(Math.abs(many! - 30) <= 1 && Math.abs(some! - 9) <= 1 && few === 1, `${countsOf(forty)}`);
  assert.deepEqual(countsOf(choose(LABELS, 3, 1)), [1, 1, 1]);
  assert.deepEqual(
    [...forty],
    [...forty].sort((a, b) => a - b),
  );
  for (let limit = 1; limit < LABELS.length; limit++) {
    const [small, large] = [choose(LABELS, limit, 1), choose(LABELS, limit + 1, 1)];
    assert.ok(small.every((index) => large.includes(index)) && new Set(large).size === limit + 1);
  }
  assert.deepEqual(choose(LABELS, 40, 1), forty);
  assert.notDeepEqual(choose(LABELS, 40, 2), forty);
});

test('withLimit() limits training images in memory, files and shards, and says if there are fewer', async (t) => {
  const pixels = smallDataset(100, 20);
  const limited: PixelDataset = withLimit(pixels, 30, 1);
  assert.deepEqual([limited.train.count, limited.test, limited.unlimited], [30, pixels.test, 100]);
  // All pixels of image i are i.
  for (let i = 0; i < 30; i++) assert.equal(limited.train.labels[i], limited.train.images[16 * i]! % 10);
  assert.equal(withLimit(pixels, 100, 1), pixels);
  const above = withLimit(pixels, 500, 1);
  assert.deepEqual([above.train, above.unlimited], [pixels.train, undefined]);
  assert.match(above.remarks!.join(), /^--limit is 500, and there are 100 training images: all of them are used$/);

  const names = [...Array(6)].flatMap((_, i) => [`train/a/${i}.jpg`, `train/b/${i}.jpg`]);
  const files = Object.fromEntries([...names, 'val/a/1.jpg', 'val/b/1.jpg'].map((name) => [name, 'rgb.jpg']));
  const folder = imageFolderOf(t, files);
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes: 3000 });
  const [few, packed] = [folder, out].map((source) => openDataset(source, 2, 3, { limit: 4, seed: 3 }) as FileDataset);
  const listed = ({ train }: FileDataset) => Array.from({ length: train.count }, (_, i) => nameAt(train.names, i));
  assert.deepEqual([listed(few!), few!.train.labels], [listed(packed!), packed!.train.labels]);
  assert.deepEqual([[...few!.train.labels], few!.test.count], [[0, 0, 1, 1], 2]);
  // Statistics of other images have another name.
  const key = (dataset: FileDataset) => statisticsFile(dataset, { resize: 8, channels: 3 });
  assert.notEqual(await key(packed!), await key(openImages(out)));
  assert.notEqual(await filesKey(folder, few!.train), await filesKey(folder, openImages(folder).train));
});
