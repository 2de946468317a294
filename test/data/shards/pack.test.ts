/** Packed images: the same batches as of the folder, readable by others, and safe from being killed. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import tar from 'tar-stream';
import { openReader } from '../../../src/data/images/reader.js';
import {
  countClasses,
  type FileDataset,
  keepStatistics,
  openDataset,
  openFeeder,
  openImages,
  packImages,
  statisticsOf,
} from '../../../src/data/index.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { DataError } from '../../../src/errors.js';
import { BAD_IMAGES, folderOf, IMAGES, imageFolderOf, PLAIN } from '../sets.js';

const ALL = readdirSync(IMAGES);
/** Some two images a shard. */
const SMALL = 3000;

function mixedFolder(t: TestContext): string {
  const part = (at: string) => ALL.map((name) => [`${at}/${name}`, name]);
  const files = {
    ...Object.fromEntries([...part('train/a'), ...part('val/b')]),
    'train/b/1.jpg': 'rgb.jpg',
    'val/a/1.jpg': 'rgb.jpg',
  };
  return imageFolderOf(t, files);
}

async function packed(t: TestContext, folder: string, shardBytes = SMALL): Promise<string> {
  const out = join(folderOf(t, {}), 'packed');
  await packImages(openImages(folder), { out, shardBytes });
  return out;
}

/** Every file of a folder and its bytes. */
function contentsOf(folder: string): Map<string, string> {
  return new Map(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'base64')]),
  );
}

test('packed images and their folder give identical batches, also with bad images', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  assert.ok(readdirSync(out).filter((name) => /^train-.*tar$/.test(name)).length > 5);
  assert.deepEqual([countClasses(out), countClasses(folder)], [2, 2]);
  const data = {
    ...PLAIN,
    resize: 14,
    randomCrop: true,
    flip: true,
    mean: [1, 2, 3],
    onBadImage: 'skip',
    workers: 2,
  } as const;
  const [a, b] = [folder, out].map((source) => {
    const feeder = openFeeder({
      dataset: openDataset(source, 2),
      batchSize: 5,
      inputSize: 12,
      inputChannels: 3,
      seed: 3,
      data,
    });
    t.after(() => feeder.close());
    return feeder;
  });
  assert.deepEqual([a!.batchesPerEpoch, a!.testBatches], [b!.batchesPerEpoch, b!.testBatches]);
  const same = async (take: (feeder: NonNullable<typeof a>) => ReturnType<typeof feeder.train>) => {
    const [first, second] = [await take(a!), await take(b!)];
    const placeOf = ({ slot, count, step, epoch }: typeof first) => ({ slot, count, step, epoch });
    assert.deepEqual(placeOf(second), placeOf(first));
    assert.deepEqual(Buffer.from(b!.slots[second.slot]!), Buffer.from(a!.slots[first.slot]!));
    a!.release(first);
    b!.release(second);
  };
  for (let step = 1; step <= 2 * a!.batchesPerEpoch; step++) await same((feeder) => feeder.train(step));
  for (let number = 0; number < a!.testBatches; number++) await same((feeder) => feeder.test(number));
  const paths = (feeder: typeof a) => feeder!.unreadable.map(({ path, reason }) => `${path} ${reason}`).sort();
  assert.deepEqual(paths(b), paths(a));
  assert.equal(paths(a).length, 2 * Object.keys(BAD_IMAGES).length);
});

test('a shard is a tar file with image, class and path at the offsets of its index', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  const { train, classNames } = openImages(out);
  const reader = openReader(out, train);
  t.after(() => reader.close());
  const seen = new Set<string>();
  for (const shard of train.places!.shards) {
    const entries = new Map<string, Buffer>();
    const extract = tar.extract();
    createReadStream(join(out, shard)).pipe(extract);
    for await (const entry of extract) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      entries.set(entry.header.name, Buffer.concat(chunks));
    }
    for (const [name, bytes] of entries) {
      const [key, ending] = name.split('.');
      if (ending === 'cls' || ending === 'json') continue;
      const index = Number(key);
      const path = nameAt(train.names, index);
      assert.deepEqual(bytes, readFileSync(join(folder, path)));
      assert.deepEqual(await reader.read(index, (read) => read), bytes);
      assert.equal(entries.get(`${key}.cls`)!.toString(), String(train.labels[index]));
      assert.deepEqual(JSON.parse(entries.get(`${key}.json`)!.toString()), { path, label: train.labels[index] });
      assert.equal(classNames[train.labels[index]!], path.split('/')[1]);
      if (basename(path) === 'png_named_jpeg.JPEG') assert.equal(ending, 'png');
      seen.add(path);
    }
  }
  assert.equal(seen.size, train.count);
});

test('statistics kept beside packed images are found without a cache', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  const options = { resize: 8, channels: 3, onBadImage: 'skip', concurrency: 2 } as const;
  const statistics = await statisticsOf(openImages(folder), { ...options, cache: folderOf(t, {}) });
  await keepStatistics(openImages(out), statistics);
  let read = 0;
  const kept = await statisticsOf(openImages(out), {
    ...{ ...options, progress: () => read++ },
    get cache(): string {
      throw new Error('a user without a home has none');
    },
  });
  assert.deepEqual([kept, read], [statistics, 0]);
});

test('packImages() continues after a kill at any rename, and ends with the same bytes', async (t) => {
  const files: Record<string, Buffer> = {};
  for (let i = 0; i < 120; i++)
    files[`${i % 4 ? 'train' : 'val'}/${i % 3 ? 'a' : 'b'}/${i}.jpg`] = Buffer.alloc(4000 + 97 * i, i);
  const folder = imageFolderOf(t, files);
  const whole = await packed(t, folder, 20_000);
  const out = join(folderOf(t, {}), 'packed');
  const program = (renames: number) => `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const { renameSync } = fs;
    let left = ${renames};
    fs.renameSync = (...paths) => {
      if (left-- === 0) process.kill(process.pid, 'SIGKILL');
      renameSync(...paths);
    };
    syncBuiltinESMExports();
    const { openImages, packImages } = await import(${JSON.stringify(new URL('../../../src/data/index.js', import.meta.url).href)});
    await packImages(openImages(${JSON.stringify(folder)}), { out: ${JSON.stringify(out)}, shardBytes: 20_000 });`;
  // The plan, then a shard and an index in turn, then the data set.
  for (const renames of [1, 2, 5, 6]) {
    const command = ['--input-type=module', '--eval', program(renames)];
    const child = spawn(process.execPath, command, { stdio: 'inherit' });
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL']);
    assert.throws(
      () => openImages(out),
      (error: Error) => error instanceof DataError && /was not finished/.test(error.message),
    );
  }
  const { shards, kept } = await packImages(openImages(folder), { out, shardBytes: 20_000 });
  assert.ok(kept >= 5 && kept < shards, `${kept} of ${shards}`);
  assert.deepEqual(contentsOf(out), contentsOf(whole));
});

test('packImages() keeps finished shards, and replaces damaged ones', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  const before = contentsOf(out);
  const again = await packImages(openImages(folder), { out, shardBytes: SMALL });
  assert.equal(again.kept, again.shards);
  truncateSync(join(out, 'train-000001.tar'), 700);
  rmSync(join(out, 'train-000002.json'));
  writeFileSync(join(out, '.train-000003.tar.unfinished'), 'half');
  const repaired = await packImages(openImages(folder), { out, shardBytes: SMALL });
  assert.equal(repaired.shards - repaired.kept, 2);
  assert.deepEqual(contentsOf(out), before);
});

test('packImages() packs again when the images, their labels or the size of shards changed', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  const again = (shardBytes = SMALL) => packImages(openImages(folder), { out, shardBytes });
  utimesSync(join(folder, 'train', 'b', '1.jpg'), 1000, 1000);
  assert.equal((await again()).kept, 0);
  assert.equal((await again(2 * SMALL)).kept, 0);
  rmSync(join(folder, 'train', 'a', 'rgb.jpg'));
  const { images, shards, kept } = await again(2 * SMALL);
  assert.deepEqual([kept, images], [0, 2 * ALL.length + 1]);
  assert.equal(readdirSync(out).filter((name) => name.endsWith('.tar')).length, shards, 'nothing old is left');
});

test('packImages() refuses a folder with other files, and images that are packed', async (t) => {
  const folder = mixedFolder(t);
  const refused = (promise: Promise<unknown>, wanted: RegExp) =>
    assert.rejects(promise, (error: Error) => error instanceof DataError && wanted.test(error.message));
  const other = folderOf(t, { 'notes.txt': Buffer.from('mine') });
  await refused(
    packImages(openImages(folder), { out: other, shardBytes: SMALL }),
    /it holds notes\.txt, expected a new folder/,
  );
  const lookalike = folderOf(t, { 'train-000000.tar': Buffer.from('mine') });
  await refused(packImages(openImages(folder), { out: lookalike, shardBytes: SMALL }), /it holds train-000000\.tar/);
  await refused(packImages(openImages(folder), { out: join(other, 'notes.txt'), shardBytes: SMALL }), /Cannot pack/);
  assert.deepEqual(readdirSync(other), ['notes.txt']);
  const out = await packed(t, folder);
  await refused(packImages(openImages(out), { out: folderOf(t, {}), shardBytes: SMALL }), /its images are packed/);
});

test('packImages() names a file that cannot be read, and continues once it is removed', async (t) => {
  const folder = mixedFolder(t);
  const dataset = openImages(folder);
  rmSync(join(folder, 'val', 'a', '1.jpg'));
  const out = folderOf(t, {});
  await assert.rejects(
    packImages(dataset, { out, shardBytes: SMALL }),
    /Cannot pack the image val\/a\/1\.jpg of .*it is not there/,
  );
  mkdirSync(join(folder, 'val', 'a'), { recursive: true });
  const packedThen = await packImages(openImages(folder), { out, shardBytes: SMALL });
  assert.equal(packedThen.images, 2 * ALL.length + 1);
});

test('readPacked() refuses files that do not fit one another', async (t) => {
  const folder = mixedFolder(t);
  const out = await packed(t, folder);
  const change = (name: string, changed: (text: string) => string) => {
    const before = readFileSync(join(out, name), 'utf8');
    writeFileSync(join(out, name), changed(before));
    return () => writeFileSync(join(out, name), before);
  };
  const refusedAfter = (name: string, changed: (text: string) => string, wanted: RegExp) => {
    const restore = change(name, changed);
    assert.throws(
      () => openImages(out),
      (error: Error) => error instanceof DataError && wanted.test(error.message),
      name,
    );
    restore();
  };
  type Any = Record<string, unknown[]> & { size: number };
  const json = (edit: (value: Any) => void) => (text: string) => {
    const value = JSON.parse(text) as Any;
    edit(value);
    return JSON.stringify(value);
  };
  const shard = 'train-000000.json';
  refusedAfter('dataset.json', () => '{', /dataset\.json cannot be read/);
  refusedAfter('dataset.json', (text) => text.replace('"version":1', '"version":2'), /another version/);
  refusedAfter('dataset.json', (text) => text.replace('"train-0', '"../train-0'), /damaged/);
  refusedAfter(
    shard,
    json((value) => value.label!.pop()),
    /train-000000\.json is damaged/,
  );
  refusedAfter(
    shard,
    json((value) => value.size++),
    /train-000000\.tar has \d+ bytes, expected \d+/,
  );
  refusedAfter(
    shard,
    json((value) => (value.index![0] = 10_000)),
    /an image 10000 that does not fit/,
  );
  refusedAfter(
    shard,
    json((value) => (value.offset![0] = 1e9)),
    /that does not fit/,
  );
  refusedAfter(
    shard,
    json((value) => (value.label![0] = 9)),
    /that does not fit/,
  );
  refusedAfter(
    'dataset.json',
    (text) => text.replace(/"images":\d+/, '"images":4000000000'),
    /hold \d+ images, expected 4000000000/,
  );
  assert.equal((openImages(out) as FileDataset).train.count, ALL.length + 1);
});
