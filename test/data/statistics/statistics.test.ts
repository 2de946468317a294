import assert from 'node:assert/strict';
import { readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import sharp from 'sharp';
import { centerCrop, createTransform } from '../../../src/data/images/augment.js';
import {
  type FileDataset,
  loadDataset,
  openDataset,
  openFeeder,
  slotViews,
  statisticsOf,
} from '../../../src/data/index.js';
import { statisticsFile } from '../../../src/data/statistics/cache.js';
import { DataError } from '../../../src/errors.js';
import { inputsOf } from '../batches/feed.js';
import { folderOf, imageFolderOf, PLAIN, smallDataset } from '../sets.js';

async function noisePng(seed: number, width = 8, height = 8): Promise<Buffer> {
  const raw = Buffer.from(
    Array.from({ length: width * height * 3 }, (_, i) => (i * 37 + seed * 101 + ((i * i) >> 3)) % 256),
  );
  return sharp(raw, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

async function noiseFolder(t: TestContext): Promise<{ folder: string; raw: number[][] }> {
  const images = await Promise.all([1, 2, 3].map((seed) => noisePng(seed)));
  const folder = imageFolderOf(t, {
    ...{ 'train/a/1.png': images[0]!, 'train/a/2.png': images[1]!, 'train/b/3.png': images[2]! },
    ...{ 'val/a/1.png': images[0]!, 'val/b/1.png': images[0]! },
  });
  const raw = await Promise.all(images.map(async (each) => [...(await sharp(each).raw().toBuffer())]));
  return { folder, raw };
}

const open = (folder: string) => openDataset(folder, 2) as FileDataset;
const optionsIn = (cache: string) => ({ resize: 8, channels: 3, onBadImage: 'fail', cache, concurrency: 3 }) as const;

test('statisticsOf() of files returns the mean of every pixel, and the components of the colours', async (t) => {
  const { folder, raw } = await noiseFolder(t);
  const { mean, images, colours } = await statisticsOf(open(folder), optionsIn(folderOf(t, {})));
  assert.equal(images, 3);
  assert.deepEqual([...mean], [...Float32Array.from(raw[0]!, (_, i) => (raw[0]![i]! + raw[1]![i]! + raw[2]![i]!) / 3)]);
  // Along each component the pixels have its standard deviation.
  const pixels = raw.flatMap((image) => Array.from({ length: 64 }, (_, i) => image.slice(3 * i, 3 * i + 3)));
  for (const [k, direction] of colours.directions.entries()) {
    const along = pixels.map((pixel) => pixel.reduce((sum, value, c) => sum + value * direction[c]!, 0));
    const middle = along.reduce((a, b) => a + b) / along.length;
    const deviation = Math.sqrt(along.reduce((sum, value) => sum + (value - middle) ** 2, 0) / along.length);
    assert.ok(
      Math.abs(deviation - colours.deviations[k]!) < 1e-6 * 255,
      `${k}: ${deviation}, ${colours.deviations[k]}`,
    );
  }
});

test('statisticsOf() uses the cache, except for other files, sizes, times or another resize', async (t) => {
  const { folder } = await noiseFolder(t);
  const cache = join(folderOf(t, {}), 'made');
  let done = 0;
  const progress = () => done++;
  const first = await statisticsOf(open(folder), { ...optionsIn(cache), progress });
  assert.equal(done, 3);
  const again = await statisticsOf(open(folder), { ...optionsIn(cache), progress });
  assert.deepEqual([again, done], [first, 3]);
  assert.ok(again.mean.buffer instanceof SharedArrayBuffer);

  const image = join(folder, 'train', 'a', '1.png');
  const keys = [await statisticsFile(open(folder), optionsIn(cache))];
  keys.push(
    await statisticsFile(open(folder), { resize: 9, channels: 3 }),
    await statisticsFile(open(folder), { resize: 8, channels: 1 }),
    await statisticsFile(open(folder), { ...optionsIn(cache), interpolation: 'bilinear' }),
  );
  const lanczos = { ...optionsIn(cache), interpolation: 'lanczos' } as const;
  assert.equal(await statisticsFile(open(folder), lanczos), keys[0]);
  utimesSync(image, 1000, 1000);
  keys.push(await statisticsFile(open(folder), optionsIn(cache)));
  writeFileSync(image, await noisePng(9, 30, 40));
  utimesSync(image, 1000, 1000);
  keys.push(await statisticsFile(open(folder), optionsIn(cache)));
  writeFileSync(join(folder, 'train', 'a', '4.png'), await noisePng(4));
  keys.push(await statisticsFile(open(folder), optionsIn(cache)));
  assert.equal(new Set(keys).size, keys.length);
  await statisticsOf(open(folder), { ...optionsIn(cache), progress });
  assert.equal(done, 7);
});

test('statisticsFile() stops with the signal', async (t) => {
  const { folder } = await noiseFolder(t);
  const controller = new AbortController();
  const key = statisticsFile(open(folder), { resize: 8, channels: 3, signal: controller.signal });
  controller.abort();
  await assert.rejects(key, /it was stopped/);
});

test('statisticsOf() replaces damaged cache files, and leaves no unfinished ones', async (t) => {
  const { folder } = await noiseFolder(t);
  const cache = folderOf(t, {});
  const first = await statisticsOf(open(folder), optionsIn(cache));
  const [name, ...others] = readdirSync(cache);
  assert.deepEqual(others, []);
  for (const content of ['', '{', '{}', '{"mean":"AAAA","resize":8}']) {
    writeFileSync(join(cache, name!), content);
    assert.deepEqual(await statisticsOf(open(folder), optionsIn(cache)), first);
  }
});

test('statisticsOf() names an unreadable file, or skips it', async (t) => {
  const { folder } = await noiseFolder(t);
  const cache = folderOf(t, {});
  writeFileSync(join(folder, 'train', 'b', '0.jpg'), 'no image');
  const isNamed = (error: Error) =>
    error instanceof DataError && /the image train\/b\/0\.jpg is unreadable: it is not a JPEG/.test(error.message);
  await assert.rejects(statisticsOf(open(folder), optionsIn(cache)), isNamed);
  assert.equal((await statisticsOf(open(folder), { ...optionsIn(cache), onBadImage: 'skip' })).images, 3);
  for (const name of ['a/1.png', 'a/2.png', 'b/3.png']) writeFileSync(join(folder, 'train', name), '');
  const none = statisticsOf(open(folder), { ...optionsIn(cache), onBadImage: 'skip' });
  await assert.rejects(none, /none of its training images can be read/);
});

test('statisticsOf() works without a cache if it can warn', async (t) => {
  const { folder } = await noiseFolder(t);
  const file = join(folderOf(t, { file: Buffer.from('mine') }), 'file');
  await assert.rejects(
    statisticsOf(open(folder), optionsIn(file)),
    /Cannot save the mean image in .*ENOTDIR: not a dir/,
  );
  const warnings: string[] = [];
  const { images } = await statisticsOf(open(folder), { ...optionsIn(file), warn: (text) => warnings.push(text) });
  assert.equal(images, 3);
  assert.match(warnings.join('|'), /^the mean image is not cached in [^|]* \(ENOTDIR: not a directory\): [^|]*$/);
  const homeless = {
    ...optionsIn(file),
    get cache(): string {
      throw new Error('Cannot tell where the cache folder is');
    },
  };
  await assert.rejects(statisticsOf(open(folder), homeless), /Cannot tell where/);
  const told: string[] = [];
  const warned = Object.defineProperties(homeless, { warn: { value: (text: string) => told.push(text) } });
  assert.equal((await statisticsOf(open(folder), warned)).images, images);
  assert.match(told.join('|'), /^the mean image is not cached, so the next run[^|]*: Cannot tell where[^|]*$/);
});

test('statisticsOf() stops with the signal', async (t) => {
  const { folder } = await noiseFolder(t);
  const signal = AbortSignal.abort();
  await assert.rejects(statisticsOf(open(folder), { ...optionsIn(folderOf(t, {})), signal }), /it was stopped/);
});

test('statisticsOf() of images in memory returns the mean of the resized images', async () => {
  const dataset = smallDataset(5, 1, true);
  const { mean } = await statisticsOf(dataset, { ...optionsIn('/nowhere'), resize: 9, channels: 1 });
  const paint = createTransform(dataset, { ...PLAIN, resize: 9 }, 9, 1);
  const sums = new Float64Array(81);
  const out = new Float32Array(81);
  for (let i = 0; i < 5; i++) {
    paint(out, 0, dataset.train.images, 16 * i, centerCrop(9, 9));
    out.forEach((value, at) => {
      sums[at]! += value / 5;
    });
  }
  for (const [at, value] of sums.entries()) assert.ok(Math.abs(value - mean[at]!) < 1e-4);
});

test("statisticsOf() returns the embedded sample's mean, which the presets round", async () => {
  const { mean } = await statisticsOf(loadDataset('embedded', 10), { ...optionsIn('/nowhere'), resize: 28 });
  const grey = mean.reduce((sum, value) => sum + value, 0) / mean.length;
  assert.ok(Math.abs(grey - 73) < 1, `${grey}`);
});

test('a feeder subtracts the mean image from training and test images, and adds noise only to training images', async (t) => {
  const { folder, raw } = await noiseFolder(t);
  const dataset = open(folder);
  const statistics = await statisticsOf(dataset, optionsIn(folderOf(t, {})));
  const batchesOf = async (colourNoise: object, seed: number) => {
    const data = { ...PLAIN, resize: 8, mean: [0, 0, 0], meanImage: true, workers: 1 };
    const feeder = openFeeder({
      ...{ dataset, statistics, batchSize: 3, inputSize: 8, inputChannels: 3, seed },
      data: { ...data, colourNoise: { ...PLAIN.colourNoise, ...colourNoise } },
    });
    t.after(() => feeder.close());
    const view = (slot: number, isTraining: boolean) => [
      ...inputsOf(slotViews(feeder.slots[slot]!, feeder.layout), feeder.layout, 1, isTraining),
    ];
    const [trained, tested] = [await feeder.train(1), await feeder.test(0)];
    return { train: view(trained.slot, true), test: view(tested.slot, false) };
  };
  const plain = await batchesOf({}, 1);
  const own = raw[0]!.map((value, i) => Math.fround(value - statistics.mean[i]!));
  assert.deepEqual(plain.test, own);
  for (const colours of ['imagenet', 'data']) {
    const noisy = await batchesOf({ strength: 0.1, divide: true, colours }, 1);
    assert.deepEqual(noisy.test, own);
    // One colour is added to all pixels: the differences of pixels are those without noise, divided by 1.1.
    for (let i = 3; i < 192; i++) {
      const [with_, without] = [noisy.train[i]! - noisy.train[i - 3]!, plain.train[i]! - plain.train[i - 3]!];
      assert.ok(Math.abs(with_ - without / 1.1) < 1e-3);
    }
    assert.ok(Math.abs(noisy.train[0]! - plain.train[0]! / 1.1) > 1e-3);
  }
  const over = await batchesOf({ strength: 0.1, end: 1 }, 1);
  assert.deepEqual(over.train, plain.train);
});
