import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import sharp from 'sharp';
import { type FileDataset, levelsOf, openDataset } from '../../../src/data/index.js';
import { imageFiles } from '../../../src/data/sets/dataset.js';
import { DataError } from '../../../src/errors.js';
import { BAD_IMAGES, cifarFiles, folderOf, imageFolderOf, smallDataset } from '../sets.js';

const OPTIONS = { resize: 4, channels: 3, concurrency: 2 } as const;

/** A PNG of 4 x 4 pixels of one colour. */
const plain = (r: number, g: number, b: number) =>
  sharp({ create: { width: 4, height: 4, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer();

test('levelsOf() images in memory is exact: the mean of each channel, and the deviation from these', async (t) => {
  // All pixels of image i are i.
  assert.deepEqual(await levelsOf(smallDataset(3, 1), OPTIONS), { mean: [1], deviation: Math.sqrt(2 / 3), images: 3 });
  // Plane c of image i is 10 c + i, and i is 0 or 1.
  const colour = await levelsOf(openDataset(folderOf(t, cifarFiles()), 10), OPTIONS);
  assert.deepEqual(colour, { mean: [0.5, 10.5, 20.5], deviation: 0.5, images: 10 });
});

test('levelsOf() image files reads each one, and leaves out unreadable ones', async (t) => {
  const [dark, light] = [await plain(10, 20, 30), await plain(30, 20, 10)];
  const files = { 'train/a/1.png': dark, 'train/b/1.png': light, 'val/a/1.png': dark, 'val/b/1.png': dark };
  const open = (folder: string) => openDataset(folder, 2) as FileDataset;
  const { mean, deviation, images } = await levelsOf(open(imageFolderOf(t, files)), OPTIONS);
  assert.deepEqual([mean, images], [[20, 20, 20], 2]);
  assert.ok(Math.abs(deviation - Math.sqrt(200 / 3)) < 1e-6);
  const [bad] = Object.keys(BAD_IMAGES);
  const damaged = open(imageFolderOf(t, { ...files, 'train/a/2.jpg': bad! }));
  assert.equal((await levelsOf(damaged, OPTIONS)).images, 2);
  const none = { ...damaged, train: imageFiles(['train/a/2.jpg'], [0]) };
  const skipped = async () => levelsOf(none, OPTIONS);
  await assert.rejects(
    skipped,
    (error: Error) =>
      error instanceof DataError && /none of 1 training images can be read, expected at least one/.test(error.message),
  );
});

test('levelsOf() reads 500 of more files, from the whole list', async (t) => {
  const folder = folderOf(t, {});
  writeFileSync(join(folder, 'first.png'), await plain(0, 0, 0));
  writeFileSync(join(folder, 'last.png'), await plain(200, 100, 50));
  const names = Array.from({ length: 2000 }, (_, i) => (i < 1000 ? 'first.png' : 'last.png'));
  const train = imageFiles(names, Array(2000).fill(0));
  const dataset: FileDataset = {
    ...{ kind: 'files', name: 'x', source: folder, folder, classNames: [], ignored: 0, train, test: train },
  };
  const { mean, images } = await levelsOf(dataset, OPTIONS);
  assert.deepEqual([mean, images], [[100, 50, 25], 500]);
});
