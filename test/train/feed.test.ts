/** Messages while the images of a training are opened. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { PRESETS } from '../../src/config/presets.js';
import { openFeed } from '../../src/train/feed.js';
import { folderOf, imageFolderOf } from '../data/sets.js';

test('openFeed() continues without a cache for the mean image, because the run keeps its own, and says so', async (t) => {
  const names = ['train/a', 'train/b', 'val/a', 'val/b'].map((at) => `${at}/1.jpg`);
  const source = imageFolderOf(t, Object.fromEntries(names.map((name) => [name, 'rgb.jpg'])));
  const before = process.env.ALEXNET_SPLIT_CACHE;
  process.env.ALEXNET_SPLIT_CACHE = join(folderOf(t, { file: Buffer.from('mine') }), 'file');
  t.after(() => {
    if (before === undefined) delete process.env.ALEXNET_SPLIT_CACHE;
    else process.env.ALEXNET_SPLIT_CACHE = before;
  });
  const { mini } = PRESETS;
  const config = {
    ...{ ...mini, batchSize: 2, net: { ...mini.net, classes: 2, inputSize: 64, inputChannels: 3 } },
    data: { ...mini.data, source, resize: 64, mean: [0, 0, 0], meanImage: true, workers: 0 },
  };
  const warnings: string[] = [];
  const { feeder, statistics } = await openFeed(config as never, { warn: (text) => warnings.push(text) });
  await feeder.close();
  assert.equal(statistics?.images, 2);
  assert.match(
    warnings.join('|'),
    /^the mean image is not cached in [^|]*file\/data \(ENOTDIR: not a directory\): [^|]*$/,
  );
});

test('openFeed() gives training images in the place of test images', async (t) => {
  const at = (part: string, count: number) =>
    Array.from({ length: count }, (_, i) => `${part}/${'ab'[i % 2]}/${i}.jpg`);
  const files = [...at('train', 6), ...at('val', 8)].map((name) => [name, 'rgb.jpg'] as const);
  const source = imageFolderOf(t, Object.fromEntries(files));
  const { mini } = PRESETS;
  const config = {
    ...{ ...mini, batchSize: 8, net: { ...mini.net, classes: 2, inputSize: 64, inputChannels: 3 } },
    data: { ...mini.data, source, resize: 64, workers: 0 },
  };
  const counts: number[] = [];
  for (const testOn of ['test', 'train'] as const) {
    const { feeder } = await openFeed(config as never, { testOn });
    counts.push((await feeder.test(0)).count);
    await feeder.close();
  }
  assert.deepEqual(counts, [8, 6]);
});
