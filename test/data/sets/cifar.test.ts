import assert from 'node:assert/strict';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import sharp from 'sharp';
import { openDecoder } from '../../../src/data/images/decode.js';
import {
  countClasses,
  findCifar10,
  openDataset,
  openFeeder,
  type PixelDataset,
  slotViews,
  statisticsOf,
} from '../../../src/data/index.js';
import { ConfigError } from '../../../src/errors.js';
import { inputsOf } from '../batches/feed.js';
import { refusal } from '../refusal.js';
import { cifarFile, cifarFiles, folderOf, fourFiles, imageFolderOf, PLAIN } from '../sets.js';

const open = (folder: string, channels?: 1 | 3) => openDataset(folder, 10, channels) as PixelDataset;

test("openDataset() reads CIFAR-10's files: the planes become the values of a pixel, the files follow one another", (t) => {
  const folder = folderOf(t, cifarFiles());
  const { kind, height, width, channels, train, test, classNames, source } = open(folder);
  assert.deepEqual([kind, height, width, channels, source], ['pixels', 32, 32, 3, folder]);
  assert.deepEqual([train.count, [...train.labels], [...test.labels]], [10, [0, 5, 1, 6, 2, 7, 3, 8, 4, 9], [9, 0]]);
  assert.deepEqual(
    [train.images.length, [...train.images.subarray(3 * 1023, 3 * 1025)]],
    [30_720, [0, 10, 20, 1, 11, 21]],
  );
  assert.ok([train.images, train.labels, test.images].every(({ buffer }) => buffer instanceof SharedArrayBuffer));
  assert.deepEqual([classNames[0], classNames[9], countClasses(folder)], ['airplane', 'truck', 10]);
});

test('openDataset() also finds the files in the folder that unpacking makes, beside IDX files not', (t) => {
  const files = Object.entries(cifarFiles()).map(([name, bytes]) => [`cifar-10-batches-bin/${name}`, bytes]);
  const folder = imageFolderOf(t, Object.fromEntries(files));
  assert.equal(open(folder).train.count, 10);
  for (const [name, bytes] of Object.entries(fourFiles())) writeFileSync(join(folder, name), bytes);
  assert.deepEqual([openDataset(folder, 3).train.count, countClasses(folder)], [3, undefined]);
});

test('openDataset() takes class names and their number from batches.meta.txt', (t) => {
  const names = Buffer.from(`${Array.from({ length: 11 }, (_, i) => `class ${i}`).join('\r\n')}\n\n`);
  const folder = folderOf(t, { ...cifarFiles(), 'batches.meta.txt': names });
  assert.deepEqual([countClasses(folder), openDataset(folder, 11).classNames[10]], [11, 'class 10']);
  assert.throws(
    () => open(folder),
    (error: Error) => error instanceof ConfigError && /expected 11/.test(error.message),
  );
  writeFileSync(join(folder, 'batches.meta.txt'), 'cat\ncat\n');
  assert.match(
    refusal(() => open(folder), folder),
    /^Cannot read class names from SET\/batches\.meta\.txt: it has 2 lines/,
  );
});

test('openDataset() refuses files that are missing, short, odd, placeholders, or have labels without a class', (t) => {
  const folder = folderOf(t, cifarFiles());
  const file = join(folder, 'data_batch_3.bin');
  const refused = () => refusal(() => open(folder), folder);
  truncateSync(file, 3072);
  assert.match(refused(), /images from SET\/data_batch_3\.bin: it holds 3072 bytes, expected a multiple of 3073/);
  truncateSync(file, 0);
  assert.match(refused(), /data_batch_3\.bin: it holds 0 bytes/);
  writeFileSync(file, cifarFile([1, 10]));
  assert.match(refused(), /label 10 at image 1, expected 0 to 9/);
  writeFileSync(file, 'version https://git-lfs.github.com/spec/v1\n');
  assert.match(refused(), /Git LFS pointer/);
  rmSync(file);
  rmSync(join(folder, 'test_batch.bin'));
  assert.match(
    refused(),
    /SET: the folder lacks data_batch_3\.bin and test_batch\.bin, expected the files data_batch_1/,
  );
  mkdirSync(file);
  writeFileSync(join(folder, 'test_batch.bin'), cifarFile([1]));
  assert.match(refused(), /data_batch_3\.bin: it is a folder/);
  rmSync(file, { recursive: true });
  symlinkSync('data_batch_3.bin', file);
  assert.match(refused(), /lacks data_batch_3\.bin/);
});

test('openDataset() finds cifar-10 under data, whose files have 10,000 images each', (t) => {
  const folder = folderOf(t, {});
  const before = process.cwd();
  t.after(() => process.chdir(before));
  process.chdir(folder);
  const elsewhere = findCifar10();
  mkdirSync('data/cifar-10/cifar-10-batches-bin', { recursive: true });
  for (const [name, bytes] of Object.entries(cifarFiles())) {
    assert.equal(findCifar10(), elsewhere);
    writeFileSync(join('data/cifar-10/cifar-10-batches-bin', name), bytes);
  }
  assert.equal(findCifar10(), join('data/cifar-10/cifar-10-batches-bin'));
  assert.match(
    refusal(() => open('cifar-10'), folder),
    /it holds 6146 bytes, expected 30730000/,
  );
  assert.equal(countClasses('cifar-10'), 10);
});

test('a net of one channel gets grey levels as image files have, within rounding', async (t: TestContext) => {
  const colours = Array.from({ length: 1024 }, (_, i) => [(i * 37) % 256, (i * 101) % 256, (i * 59 + (i >> 3)) % 256]);
  const record = Buffer.from([3, ...[0, 1, 2].flatMap((c) => colours.map((colour) => colour[c]!))]);
  const folder = folderOf(t, { ...cifarFiles(), 'test_batch.bin': record });
  const { channels, test: set } = open(folder, 1);
  const raw = { width: 32, height: 32, channels: 3 } as const;
  const decode = await openDecoder(32, 1);
  const decoded = await decode(await sharp(Buffer.from(colours.flat()), { raw }).png().toBuffer());
  assert.ok('pixels' in decoded && channels === 1 && set.images.length === 1024);
  assert.ok(decoded.pixels.every((level, i) => Math.abs(level - set.images[i]!) <= 1));
  // The same image in colour: exactly as a file of it.
  const colour = await (await openDecoder(32, 3))(await sharp(Buffer.from(colours.flat()), { raw }).png().toBuffer());
  assert.ok('pixels' in colour && Buffer.from(colour.pixels).equals(Buffer.from(open(folder).test.images)));
});

test('batches of colour images have mean and scale of each channel, and their own mean image and colours', async (t) => {
  const dataset = open(folderOf(t, cifarFiles()));
  const options = { dataset, batchSize: 2, inputSize: 32, inputChannels: 3, seed: 1 };
  const feeder = openFeeder({ ...options, data: { ...PLAIN, resize: 32, mean: [0, 1, 2], scale: 0.5, workers: 0 } });
  const { slot } = await feeder.test(0);
  const views = slotViews(feeder.slots[slot]!, feeder.layout);
  const [images, { labels }] = [inputsOf(views, feeder.layout, 2), views];
  assert.deepEqual([...images.subarray(3 * 1023, 3 * 1025)], [0, 4.5, 9, 0.5, 5, 9.5]);
  assert.deepEqual([...labels], [9, 0]);
  await feeder.close();
  const statistics = await statisticsOf(dataset, {
    ...{ resize: 40, channels: 3, onBadImage: 'fail', cache: '/nowhere', concurrency: 1 },
  });
  assert.deepEqual([statistics.channels, [...statistics.mean.subarray(0, 3)]], [3, [0.5, 10.5, 20.5]]);
  // Within a file all three channels change by 1 together: the variance of 0.25 in each lies along (1, 1, 1).
  const [, , [red]] = statistics.colours.directions;
  assert.ok(
    Math.abs(statistics.colours.deviations[2] - Math.sqrt(0.75)) < 1e-9 && Math.abs(red - Math.sqrt(1 / 3)) < 1e-6,
  );
});
