import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Batch, type BatchFeeder, type FeedOptions, openFeeder } from '../../../src/data/index.js';
import { DataError } from '../../../src/errors.js';
import { folderOf, PLAIN, smallDataset } from '../sets.js';
import { contents, open } from './feed.js';

const RANDOM = { ...PLAIN, resize: 9, randomCrop: true, flip: true, brightness: 0.4, contrast: 0.4, saturation: 0.4 };

/** 10 training images in batches of 4, 4 and 2; 7 test images in 4 and 3. */
function plainOptions(workers: number): FeedOptions {
  return {
    dataset: smallDataset(10, 7),
    batchSize: 4,
    inputSize: 4,
    inputChannels: 1,
    seed: 1,
    data: { ...PLAIN, workers },
  };
}

function randomOptions(workers: number): FeedOptions {
  return {
    dataset: smallDataset(50, 20, true),
    batchSize: 8,
    inputSize: 7,
    inputChannels: 3,
    seed: 3,
    data: { ...RANDOM, mean: [70, 80, 90], workers },
  };
}

/** In plain batches all pixels of an image are its index. */
function indices(feeder: BatchFeeder, batch: Batch): number[] {
  const { images, labels } = contents(feeder, batch);
  return [...labels].map((label, i) => {
    const pixels = images.subarray(16 * i, 16 * (i + 1));
    assert.ok(pixels.every((value) => value === pixels[0]));
    assert.equal(label, pixels[0]! % 10);
    return pixels[0]!;
  });
}

for (const workers of [0, 1, 2]) {
  test(`train() returns every image once per epoch, in the epoch's own order, with ${workers} workers`, async (t) => {
    const options = plainOptions(workers);
    const feeder = open(t, options);
    assert.deepEqual([feeder.batchesPerEpoch, feeder.testBatches], [3, 2]);
    const epochs: number[][] = [[], [], []];
    for (let step = 1; step <= 9; step++) {
      const batch = await feeder.train(step);
      const epoch = Math.floor((step - 1) / 3);
      assert.deepEqual([batch.step, batch.epoch, batch.count], [step, epoch, step % 3 === 0 ? 2 : 4]);
      epochs[epoch]!.push(...indices(feeder, batch));
      feeder.release(batch);
    }
    for (const each of epochs) assert.deepEqual([...each].sort(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(new Set(epochs.map(String)).size, 3);
  });

  test(`imagesOf() returns the indices of each batch's images, with ${workers} workers`, async (t) => {
    const options = plainOptions(workers);
    const feeder = open(t, options);
    for (const step of [1, 3, 2, 8]) {
      const batch = await feeder.train(step);
      assert.deepEqual(feeder.imagesOf(step), indices(feeder, batch).map(String));
      feeder.release(batch);
    }
  });

  test(`test() returns the images in order and unchanged, with ${workers} workers`, async (t) => {
    const options = plainOptions(workers);
    const feeder = open(t, { ...options, data: { ...options.data, randomCrop: true, flip: true, brightness: 0.9 } });
    const seen: number[] = [];
    for (const number of [0, 1, 0]) {
      const batch = await feeder.test(number);
      assert.deepEqual([batch.step, batch.epoch, batch.count], [number, 0, number === 1 ? 3 : 4]);
      seen.push(...indices(feeder, batch));
      feeder.release(batch);
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3]);
  });
}

for (const workers of [0, 2]) {
  test(`sample() returns an image of each part of the test set, in any order of the classes, with ${workers} workers`, async (t) => {
    const dataset = smallDataset(10, 200);
    const options = { ...plainOptions(workers), dataset, batchSize: 20 };
    const feeder = open(t, options);
    const sample = await feeder.sample();
    assert.equal(sample.count, 20);
    const found = indices(feeder, sample);
    assert.deepEqual(
      found.map((index) => Math.floor(index / 10)),
      Array.from({ length: 20 }, (_, part) => part),
    );
    // Every tenth image has the same label.
    assert.ok(new Set(found.map((index) => index % 10)).size >= 5, `${found}`);
    for (const number of [0, 1, 2]) {
      const batch = await feeder.test(number);
      assert.equal(indices(feeder, batch)[0], 20 * number);
      feeder.release(batch);
    }
    const again = await feeder.sample();
    assert.deepEqual([again, indices(feeder, again)], [sample, found]);
    const other = open(t, { ...options, seed: 2 });
    assert.notDeepEqual(indices(other, await other.sample()), found);
  });
}

test('sample() returns every image once if the test set is smaller than a batch', async (t) => {
  const options = { ...plainOptions(0), batchSize: 16 };
  const feeder = open(t, options);
  assert.deepEqual(indices(feeder, await feeder.sample()), [0, 1, 2, 3, 4, 5, 6]);
});

test('train() is a function of step and seed, for any number of workers and any earlier requests', async (t) => {
  const feeders = [0, 1, 2].map((workers) => {
    const options = randomOptions(workers);
    return { options, feeder: open(t, options) };
  });
  const otherSeed = { ...randomOptions(0), seed: 4 };
  const different = open(t, otherSeed);
  const orders = [
    [1, 2, 7, 8, 500],
    [500, 8, 1, 2, 7],
    [7, 500, 2, 1, 8],
  ];
  const byFeeder = await Promise.all(
    feeders.map(async ({ feeder }, i) => {
      const found = new Map<number, ReturnType<typeof contents>>();
      for (const step of orders[i]!) {
        const batch = await feeder.train(step);
        found.set(step, contents(feeder, batch));
        feeder.release(batch);
      }
      return found;
    }),
  );
  for (const step of orders[0]!) {
    const [first, ...others] = byFeeder.map((found) => found.get(step)!);
    for (const other of others) assert.deepEqual(other, first);
    const batch = await different.train(step);
    assert.notDeepEqual(contents(different, batch), first);
    different.release(batch);
  }
});

test('train() augments an image differently in each epoch', async (t) => {
  const options = { ...randomOptions(0), dataset: smallDataset(1, 1, true) };
  const feeder = open(t, options);
  const seen = new Set<string>();
  for (let step = 1; step <= 4; step++) {
    const batch = await feeder.train(step);
    seen.add(String(contents(feeder, batch).images));
    feeder.release(batch);
  }
  assert.equal(seen.size, 4);
});

test('train() never fills a slot that is not released', async (t) => {
  const options = randomOptions(2);
  const feeder = open(t, options);
  const batches = [await feeder.train(1), await feeder.train(2), await feeder.train(3)];
  assert.equal(new Set(batches.map(({ slot }) => slot)).size, 3);
  const before = batches.map((batch) => contents(feeder, batch));
  const fourth = feeder.train(4);
  assert.equal(await Promise.race([fourth, pause(100, 'waits')]), 'waits');
  feeder.release(batches[1]!);
  assert.equal((await fourth).slot, batches[1]!.slot);
  await pause(20); // by now, batches filled ahead by mistake would be ready
  for (const i of [0, 2]) assert.deepEqual(contents(feeder, batches[i]!), before[i]);
});

test('test() between training batches neither blocks nor disturbs them', async (t) => {
  const options = randomOptions(1);
  const feeder = open(t, options);
  const lent = [await feeder.train(1), await feeder.train(2), await feeder.train(3)];
  const before = lent.map((batch) => contents(feeder, batch));
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < feeder.testBatches; number++) feeder.release(await feeder.test(number));
  }
  lent.forEach((batch, i) => {
    assert.deepEqual(contents(feeder, batch), before[i]);
    feeder.release(batch);
  });
  assert.equal((await feeder.train(4)).step, 4);
});

test('release() refuses a batch twice', async (t) => {
  const feeder = open(t, plainOptions(0));
  const batch = await feeder.train(1);
  feeder.release(batch);
  assert.throws(() => feeder.release(batch), { name: 'AssertionError' });
});

test('openFeeder() refuses wrong options before it starts a thread', () => {
  const options = plainOptions(1);
  const refused = (changed: Partial<FeedOptions>, message: RegExp) =>
    assert.throws(() => openFeeder({ ...options, ...changed }), { name: 'ConfigError', message });
  refused({ inputSize: 5 }, /data\.resize is 4/);
  refused({ inputChannels: 3 }, /data\.mean has 1/);
  refused({ batchSize: 2 ** 40 }, /--batch-size$/);
});

test('close() rejects pending batches', async (t) => {
  const feeder = open(t, plainOptions(1));
  for (const step of [1, 2, 3]) await feeder.train(step);
  const waiting = assert.rejects(feeder.train(4), (error: Error) => {
    assert.ok(error instanceof DataError);
    assert.match(error.message, /training batch of step 4: the data workers were closed/);
    return true;
  });
  await feeder.close();
  await waiting;
  await assert.rejects(feeder.train(5), DataError);
  await assert.rejects(feeder.test(0), DataError);
  await assert.rejects(feeder.sample(), DataError);
});

test('close() ends the threads, idle or busy', async (t) => {
  if (process.platform !== 'linux') return t.skip('threads are counted in /proc, which is Linux');
  const threads = () => readdirSync('/proc/self/task').length;
  const cycle = async () => {
    const feeder = openFeeder(randomOptions(2));
    feeder.release(await feeder.train(1));
    const open = threads();
    const settled = feeder.train(2).then(
      () => {},
      () => {},
    );
    await feeder.close();
    await settled;
    return open;
  };
  await cycle(); // what Node.js starts once and keeps
  const before = threads();
  for (let round = 0; round < 3; round++) assert.ok((await cycle()) >= before + 2);
  assert.equal(threads(), before);
});

test('a process ends with exit code 0, whether or not it closes the feeder', (t) => {
  const data = new URL('../../../src/data/index.js', import.meta.url).href;
  const sets = new URL('../sets.js', import.meta.url).href;
  const program = (end: string) => `
    import { openFeeder } from ${JSON.stringify(data)};
    import { smallDataset } from ${JSON.stringify(sets)};
    const options = ${JSON.stringify({ ...randomOptions(2), dataset: null })};
    const feeder = openFeeder({ ...options, dataset: smallDataset(50, 20) });
    feeder.release(await feeder.train(1));
    ${end}
    console.log('at the end');`;
  const folder = folderOf(t, {
    'closed.mjs': Buffer.from(program('await feeder.close();')),
    'left.mjs': Buffer.from(program('')),
  });
  for (const name of ['closed.mjs', 'left.mjs']) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(folder, name)], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.deepEqual([status, stdout, stderr], [0, 'at the end\n', ''], name);
  }
});
