/** Batches of image files: the same whatever threads fill them, good and bad files alike. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import sharp from 'sharp';
import { openDecoder } from '../../../src/data/images/decode.js';
import { type BatchFeeder, type FeedOptions, openFeeder } from '../../../src/data/index.js';
import { imageFiles } from '../../../src/data/sets/dataset.js';
import { openDataset } from '../../../src/data/sets/open.js';
import { DataError } from '../../../src/errors.js';
import { shuffled } from '../../../src/random.js';
import { BAD_IMAGES, IMAGES, imageFolderOf, PLAIN } from '../sets.js';
import { contents, open } from './feed.js';

const SIZE = 12;
const ALL = readdirSync(IMAGES);
const GOOD = ALL.filter((name) => !(name in BAD_IMAGES));

/** Class `a` has every file, class `b` the good ones; `val` has them the other way round. */
function mixedFolder(t: TestContext): string {
  const part = (at: string, names: readonly string[]) => names.map((name) => [`${at}/${name}`, name]);
  return imageFolderOf(
    t,
    Object.fromEntries([
      ...part('train/a', ALL),
      ...part('train/b', GOOD),
      ...part('val/a', GOOD),
      ...part('val/b', ALL),
    ]),
  );
}

function goodFolder(t: TestContext): string {
  const files = ['train/a', 'train/b', 'val/a', 'val/b'].flatMap((at) => GOOD.map((name) => [`${at}/${name}`, name]));
  return imageFolderOf(t, Object.fromEntries(files));
}

function optionsFor(folder: string, workers: number, data: Partial<FeedOptions['data']> = {}): FeedOptions {
  return {
    dataset: openDataset(folder, 2),
    batchSize: 8,
    inputSize: SIZE,
    inputChannels: 3,
    seed: 5,
    data: { ...PLAIN, resize: SIZE + 4, randomCrop: true, flip: true, mean: [9, 8, 7], ...data, workers },
  };
}

async function everything(feeder: BatchFeeder) {
  const batches: ReturnType<typeof contents>[] = [];
  for (let step = 1; step <= 2 * feeder.batchesPerEpoch; step++) {
    const batch = await feeder.train(step);
    batches.push(contents(feeder, batch));
    feeder.release(batch);
  }
  for (let number = 0; number < feeder.testBatches; number++) {
    const batch = await feeder.test(number);
    batches.push(contents(feeder, batch));
    feeder.release(batch);
  }
  return batches;
}

test('train() and test() return the same batches of files with any number of threads and decoders', async (t) => {
  const folder = mixedFolder(t);
  const [first, ...others] = await Promise.all(
    [[0], [1], [3], [0, 5], [1, 9]].map(([workers, decoders]) => {
      const options = {
        ...optionsFor(folder, workers!, { onBadImage: 'skip' }),
        ...(decoders !== undefined && { decoders }),
      };
      return everything(open(t, options));
    }),
  );
  for (const other of others) assert.deepEqual(other, first);
  assert.equal(new Set(first!.map(({ images }) => String(images))).size, first!.length);
});

test('test() returns each decoded image of a folder minus the mean, with its label', async (t) => {
  const options = { ...optionsFor(goodFolder(t), 1, { resize: SIZE }), batchSize: 64 };
  const feeder = open(t, options);
  const batch = await feeder.test(0);
  const { images, labels } = contents(feeder, batch);
  assert.deepEqual([...labels], [...GOOD.map(() => 0), ...GOOD.map(() => 1)]);
  const decode = await openDecoder(SIZE, 3);
  for (const [i, name] of [...GOOD].sort().entries()) {
    const result = await decode(readFileSync(join(IMAGES, name)));
    assert.ok('pixels' in result);
    const wanted = Float32Array.from(result.pixels, (value, at) => value - [9, 8, 7][at % 3]!);
    assert.deepEqual(images.slice(i * wanted.length, (i + 1) * wanted.length), wanted, name);
  }
  feeder.release(batch);
});

for (const workers of [0, 2]) {
  test(`a batch says how many bytes were read for it, and how long that took, with ${workers} threads`, async (t) => {
    const options = { ...optionsFor(goodFolder(t), workers, { resize: SIZE }), batchSize: 64 };
    const feeder = open(t, options);
    const batch = await feeder.test(0);
    const bytes = GOOD.reduce((sum, name) => sum + statSync(join(IMAGES, name)).size, 0);
    assert.equal(batch.readBytes, 2 * bytes, 'of two classes');
    assert.ok(batch.decodeMs > 0);
    assert.equal(batch.readyImages, 0, 'nothing was filled ahead of the first one');
    feeder.release(batch);
  });
}

test('sample() returns images of every class of a folder, decodes them once, and names the unreadable ones', async (t) => {
  const folder = mixedFolder(t);
  const first = optionsFor(folder, 0, { onBadImage: 'skip' });
  const [{ count }] = [first.dataset.test];
  const contentsOf = async (workers: number) => {
    const options = { ...optionsFor(folder, workers, { onBadImage: 'skip' }), batchSize: count };
    const feeder = open(t, options);
    const batch = await feeder.sample();
    return { feeder, batch, ...contents(feeder, batch) };
  };
  const { feeder, batch, images, labels } = await contentsOf(0);
  assert.deepEqual([...labels].sort(), [...GOOD.map(() => 0), ...GOOD.map(() => 1)]);
  assert.deepEqual(
    feeder.unreadable.map(({ path }) => path).sort(),
    Object.keys(BAD_IMAGES)
      .map((name) => `val/b/${name}`)
      .sort(),
  );
  for (const workers of [1, 3]) {
    const other = await contentsOf(workers);
    assert.deepEqual([other.images, other.labels], [images, labels]);
  }
  const small = open(t, first);
  const some = contents(small, { ...(await small.sample()), count: first.batchSize });
  assert.equal(new Set(some.labels).size, 2);
  rmSync(join(folder, 'val'), { recursive: true });
  assert.deepEqual(contents(feeder, await feeder.sample()).images, images);
  assert.deepEqual(await feeder.sample(), batch);
});

test('train() and test() return grey images for a net with one channel', async (t) => {
  const options = { ...optionsFor(goodFolder(t), 0, { resize: SIZE, mean: [0] }), inputChannels: 1 };
  const feeder = open(t, options);
  assert.equal(contents(feeder, await feeder.test(0)).images.length, 8 * SIZE * SIZE);
});

for (const workers of [0, 2]) {
  test(`with skip, the unreadable files are named once each with reasons, with ${workers} workers`, async (t) => {
    const told: string[] = [];
    const options = { ...optionsFor(mixedFolder(t), workers, { onBadImage: 'skip' }), batchSize: 5 };
    const feeder = open(t, { ...options, onUnreadable: ({ path }) => told.push(path) });
    let tested: number[] = [];
    for (let epoch = 0; epoch < 2; epoch++) {
      for (let step = 1; step <= feeder.batchesPerEpoch; step++) {
        const batch = await feeder.train(epoch * feeder.batchesPerEpoch + step);
        assert.equal(batch.count, step === feeder.batchesPerEpoch ? (ALL.length + GOOD.length) % 5 || 5 : 5);
        feeder.release(batch);
      }
      tested = [];
      for (let number = 0; number < feeder.testBatches; number++) {
        const batch = await feeder.test(number);
        tested.push(...contents(feeder, batch).labels);
        feeder.release(batch);
      }
    }
    const wanted = Object.keys(BAD_IMAGES).flatMap((name) => [`train/a/${name}`, `val/b/${name}`]);
    assert.deepEqual(feeder.unreadable.map(({ path }) => path).sort(), wanted.sort());
    assert.deepEqual([...told].sort(), wanted);
    for (const { path, reason } of feeder.unreadable)
      assert.match(reason, BAD_IMAGES[path.slice(path.lastIndexOf('/') + 1)]!);
    const each = [...GOOD.map(() => 0), ...GOOD.map(() => 1)];
    assert.deepEqual(tested.sort(), each, 'a test image that cannot be read is left out');
  });

  test(`with skip, the next readable image of the order replaces an unreadable one, with ${workers} workers`, async (t) => {
    const colours = ['#100000', '#200000', '#300000', '#400000'];
    const solid = (background: string) =>
      sharp({ create: { width: 3, height: 3, channels: 3, background } })
        .png()
        .toBuffer();
    const folder = imageFolderOf(t, {
      'train/a/0.png': await solid(colours[0]!),
      'train/a/1.png': Buffer.from('bad'),
      'train/b/2.png': Buffer.alloc(0),
      'train/b/3.png': await solid(colours[3]!),
      'val/a/0.png': await solid('#000'),
      'val/b/0.png': await solid('#000'),
    });
    const options = { ...optionsFor(folder, workers, { onBadImage: 'skip', mean: [0, 0, 0] }), batchSize: 4 };
    const feeder = open(t, options);
    for (let epoch = 0; epoch < 6; epoch++) {
      const batch = await feeder.train(epoch + 1);
      const { images, labels } = contents(feeder, batch);
      const order = [...shuffled(4, options.seed, epoch)];
      const wanted = order.map((_, i) => [...order.slice(i), ...order].find((index) => index === 0 || index === 3)!);
      const red = (i: number) => images[i * SIZE * SIZE * 3];
      assert.deepEqual(
        wanted.map((_, i) => red(i)),
        wanted.map((index) => (index + 1) * 16),
        `order ${order}`,
      );
      const paths = ['train/a/0.png', 'train/a/1.png', 'train/b/2.png', 'train/b/3.png'];
      assert.deepEqual(
        feeder.imagesOf(epoch + 1),
        wanted.map((index) => paths[index]!),
      );
      assert.deepEqual(
        [...labels],
        wanted.map((index) => (index < 2 ? 0 : 1)),
      );
      feeder.release(batch);
    }
  });

  test(`with fail, a batch fails with path and reason of its first unreadable file, with ${workers} workers`, async (t) => {
    const folder = mixedFolder(t);
    const options = { ...optionsFor(folder, workers), batchSize: 64 };
    const feeder = open(t, options);
    const total = ALL.length + GOOD.length;
    const first = [...shuffled(total, 5, 0)].map((i) => [...ALL].sort()[i]).find((name) => name && name in BAD_IMAGES)!;
    const isFirst = (path: string, name: string) => (error: Error) => {
      assert.ok(error instanceof DataError, `${error}`);
      assert.ok(error.message.startsWith(`Cannot read the image ${path} of ${folder}: `), error.message);
      assert.match(error.message, BAD_IMAGES[name]!);
      assert.match(error.message, /--on-bad-image skip/);
      return true;
    };
    await assert.rejects(feeder.train(1), isFirst(`train/a/${first}`, first));
    await assert.rejects(feeder.test(0), isFirst('val/b/empty.jpg', 'empty.jpg'));
  });

  test(`with skip, a training set without readable images fails, and a test set returns no images, with ${workers} workers`, async (t) => {
    const folder = imageFolderOf(t, {
      ...{ 'train/a/0.jpg': 'trunc.jpg', 'train/b/0.jpg': 'empty.jpg' },
      ...{ 'val/a/0.jpg': 'html.jpg', 'val/b/0.jpg': 'html.jpg' },
    });
    const feeder = open(t, optionsFor(folder, workers, { onBadImage: 'skip' }));
    await assert.rejects(feeder.train(1), /none of the training images of .* can be read/);
    assert.equal((await feeder.test(0)).count, 0);
  });
}

test('a file that was removed, or replaced by a folder, counts as unreadable, with the reason', async (t) => {
  const folder = mixedFolder(t);
  const options = { ...optionsFor(folder, 0, { onBadImage: 'skip' }), batchSize: 64 };
  const { train } = options.dataset;
  const missing = {
    ...options.dataset,
    train: { ...train, ...imageFiles(['train/gone.jpg', 'train', 'train/a/rgb.jpg'], [0, 0, 1]) },
  };
  const feeder = open(t, { ...options, dataset: missing as FeedOptions['dataset'] });
  feeder.release(await feeder.train(1));
  const reasons = new Map(feeder.unreadable.map(({ path, reason }) => [path, reason]));
  assert.equal(reasons.get('train/gone.jpg'), 'it is not there');
  assert.equal(reasons.get('train'), 'it is a folder');
});

test('labels may be as large as 65,535', async (t) => {
  const options = optionsFor(goodFolder(t), 1);
  const train = imageFiles(['train/a/rgb.jpg'], [65_535]);
  const feeder = open(t, { ...options, dataset: { ...options.dataset, train } as FeedOptions['dataset'] });
  const batch = await feeder.train(1);
  assert.equal(contents(feeder, batch).labels[0], 65_535);
});

test('close() ends threads that decode', async (t) => {
  const folder = goodFolder(t);
  for (let i = 0; i < 40; i++)
    writeFileSync(join(folder, 'train', 'a', `more${i}.jpg`), readFileSync(join(IMAGES, 'rgb.jpg')));
  for (let round = 0; round < 3; round++) {
    const options = { ...optionsFor(folder, 2), batchSize: 32 };
    const feeder = openFeeder(options);
    const settled = feeder.train(1).catch((error: Error) => error);
    await feeder.close();
    assert.ok((await settled) instanceof DataError);
  }
});

test('openFeeder() decodes the images of a small set once', async (t) => {
  const folder = goodFolder(t);
  const options = optionsFor(folder, 0);
  const feeder = openFeeder(options);
  const before = await everything(feeder);
  await feeder.close();
  const second = openFeeder(options);
  const after: ReturnType<typeof contents>[] = [];
  for (let step = 1; step <= 2 * second.batchesPerEpoch; step++) {
    const batch = await second.train(step);
    after.push(contents(second, batch));
    second.release(batch);
    if (step === second.batchesPerEpoch) rmSync(join(folder, 'train'), { recursive: true });
  }
  await second.close();
  assert.deepEqual(after, before.slice(0, after.length));
});
