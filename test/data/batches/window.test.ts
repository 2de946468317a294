/** The order of packed images that a disk reads from shard to shard, and the reading ahead of it. */
import assert from 'node:assert/strict';
import fs, { readdirSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test from 'node:test';
import { openReadAhead } from '../../../src/data/batches/read-ahead.js';
import { runsOf, shardOrder, streamOf, windowOrder } from '../../../src/data/batches/window.js';
import { openImages, packImages } from '../../../src/data/index.js';
import { imageFiles } from '../../../src/data/sets/dataset.js';
import { folderOf, imageFolderOf } from '../sets.js';

/** Images of some shards, which lie there in an order of their own; shard 2 is empty. */
function packedFiles(count: number) {
  const place = (i: number) => (i * 7) % count;
  const shardOf = (i: number) => [0, 1, 3][Math.floor((3 * place(i)) / count)]!;
  const places = {
    shards: ['a', 'b', 'c', 'd'],
    shard: Uint32Array.from({ length: count }, (_, i) => shardOf(i)),
    offset: Float64Array.from({ length: count }, (_, i) => 100 * place(i)),
    bytes: new Float64Array(count).fill(90),
  };
  const paths = Array.from({ length: count }, (_, i) => String(i));
  return { files: { ...imageFiles(paths, new Uint16Array(count)), places }, places, place };
}

const sorted = (order: Uint32Array) => [...order].sort((a, b) => a - b);

test('runsOf() lists the images of each shard as they lie in it', () => {
  const { files, places, place } = packedFiles(40);
  const { images, starts } = runsOf(files, places);
  assert.deepEqual([...starts], [0, 14, 27, 27, 40]);
  assert.deepEqual(
    [...images].map(place),
    Array.from({ length: 40 }, (_, i) => i),
  );
});

test('streamOf() reads whole shards, in another order in each epoch', () => {
  const { files, places } = packedFiles(40);
  const runs = runsOf(files, places);
  const orders = Array.from({ length: 20 }, (_, epoch) => [...shardOrder(runs, 1, epoch)].join());
  assert.ok(new Set(orders).size > 5);
  for (let epoch = 0; epoch < 3; epoch++) {
    const expected = [...shardOrder(runs, 1, epoch)].flatMap((shard) => [
      ...runs.images.subarray(runs.starts[shard], runs.starts[shard + 1]),
    ]);
    assert.deepEqual([...streamOf(runs, 1, epoch)], expected);
  }
});

test('windowOrder() is a permutation that the seed and the epoch decide, and uses no image before the window has it', () => {
  const { files, places } = packedFiles(1001);
  const runs = runsOf(files, places);
  const all = Array.from({ length: 1001 }, (_, i) => i);
  for (const size of [1, 2, 50, 1001, 5000]) {
    const order = windowOrder({ runs, size }, 3, 1);
    assert.deepEqual(sorted(order), all);
    assert.deepEqual(windowOrder({ runs, size }, 3, 1), order);
    const stream = streamOf(runs, 3, 1);
    if (size === 1) assert.deepEqual(order, stream);
    const read = new Map([...stream].map((image, at) => [image, at]));
    const early = [...order].map((image, at) => read.get(image)! - at);
    assert.ok(Math.max(...early) < size);
    if (size === 50) {
      assert.ok(Math.max(...early) > 40, 'all of the window is used');
      // Mean wait of the images that are not at an end: the window's size.
      const waits = early.slice(100, 800).map((each) => size - 1 - each);
      const mean = waits.reduce((sum, each) => sum + each, 0) / waits.length;
      assert.ok(mean > 40 && mean < 60, `${mean}`);
    }
    for (const [seed, epoch] of [
      [4, 1],
      [3, 2],
    ] as const) {
      assert.notDeepEqual(windowOrder({ runs, size }, seed, epoch), order);
    }
  }
});

test('windowOrder() of all images puts each image at each place equally often', () => {
  const { files, places } = packedFiles(5);
  const runs = runsOf(files, places);
  const counts = Array.from({ length: 5 }, () => Array<number>(5).fill(0));
  for (let epoch = 0; epoch < 2000; epoch++) {
    for (const [place, image] of windowOrder({ runs, size: 5 }, 1, epoch).entries()) counts[place]![image]!++;
  }
  // 400 each, with a standard deviation of 18; the draws are always the same.
  for (const count of counts.flat()) assert.ok(Math.abs(count - 400) < 80, `${counts}`);
});

test('the shards are read from begin to end, once, as far as the window reaches, and on into the next epoch', async (t) => {
  const names = Array.from({ length: 40 }, (_, i) => `train/${'ab'[i % 2]}/${i}.jpg`);
  const folder = imageFolderOf(t, {
    ...Object.fromEntries(names.map((name, i) => [name, Buffer.alloc(3000 + 10 * i, i)])),
    ...{ 'val/a/1.jpg': 'rgb.jpg', 'val/b/1.jpg': 'rgb.jpg' },
  });
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes: 40_000 });
  const { train } = openImages(out);
  const places = train.places!;
  const runs = runsOf(train, places);
  /** Pieces that were read: path, begin and end. */
  const reads: [string, number, number][] = [];
  const { open } = fs.promises;
  const spy = t.mock.method(fs.promises, 'open', async (path: string) => {
    const handle = await open(path);
    const read = handle.read.bind(handle) as (
      b: Buffer,
      o: number,
      l: number,
      at: number,
    ) => Promise<{ bytesRead: number }>;
    handle.read = (async (buffer: Buffer, offset: number, length: number, at: number) => {
      const result = await read(buffer, offset, Math.min(length, 10_000), at); // a piece that ends within an image
      reads.push([path, at, at + result.bytesRead]);
      return result;
    }) as never;
    return handle;
  });
  syncBuiltinESMExports();
  t.after(() => {
    spy.mock.restore();
    syncBuiltinESMExports();
  });
  const ahead = openReadAhead({ folder: out, files: train, places, window: { runs, size: 10 }, seed: 1, margin: 4 });
  const covered = (image: number) =>
    reads.some(([path, from]) => path.endsWith(places.shards[places.shard[image]!]!) && from <= places.offset[image]!);
  const stream = streamOf(runs, 1, 0);
  ahead.follow(0, 0);
  await ahead.settled();
  assert.ok([...stream.subarray(0, 14)].every(covered));
  assert.ok(![...stream].every(covered), 'not more than the window needs');
  for (let from = 0; from < 40; from += 4) {
    ahead.follow(0, from);
    await ahead.settled();
  }
  assert.ok([...stream].every(covered));
  const epoch = [...shardOrder(runs, 1, 0)].map((shard) => join(out, places.shards[shard]!));
  const order = reads.map(([path]) => path).filter((path, i, paths) => path !== paths[i - 1]);
  assert.deepEqual(order.slice(0, epoch.length), epoch);
  const last = stream.at(-1)!;
  const isLast = ([path, , to]: [string, number, number]) =>
    path === epoch.at(-1) && to >= places.offset[last]! + places.bytes[last]!;
  const firstEpoch = reads.slice(0, reads.findIndex(isLast) + 1);
  for (const [i, [path, from]] of firstEpoch.entries()) {
    const before = reads[i - 1];
    if (before?.[0] === path) assert.equal(from, before[2], 'without gaps');
  }
  assert.ok(reads.length > firstEpoch.length, 'the next epoch has begun');
  // After a jump it reads where the batches are; a shard that is gone ends nothing.
  reads.length = 0;
  ahead.follow(7, 20);
  await ahead.settled();
  assert.ok(covered(streamOf(runs, 1, 7)[20]!));
  for (const name of readdirSync(out)) if (name.endsWith('.tar')) rmSync(join(out, name));
  ahead.follow(9, 0);
  await ahead.settled();
  await ahead.close();
});
