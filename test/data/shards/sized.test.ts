/** Shards of images of one size: the pixels of the folder, raw or as JPEG once more, and the same bytes however they are made. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import { createFiller, type FillSetup, layoutFor } from '../../../src/data/batches/filler.js';
import { encodeJpeg, openDecoder } from '../../../src/data/images/decode.js';
import { openReader } from '../../../src/data/images/reader.js';
import { npyHeader, type Stored } from '../../../src/data/images/stored.js';
import {
  createSlot,
  type FeedOptions,
  keepStatistics,
  measureDecoding,
  openDataset,
  openFeeder,
  openImages,
  packImages,
  slotViews,
  statisticsOf,
} from '../../../src/data/index.js';
import { nameAt } from '../../../src/data/sets/names.js';
import { checkShards } from '../../../src/data/shards/check-shards.js';
import { ConfigError, DataError } from '../../../src/errors.js';
import { openContext } from '../../../src/native/index.js';
import { JPEG_DECODER } from '../../../src/train/feed.js';
import { BAD_IMAGES, folderOf, IMAGES, imageFolderOf, PLAIN } from '../sets.js';

const GOOD = readdirSync(IMAGES).filter((name) => !(name in BAD_IMAGES));
const SIZE = 16;
const RAW = { kind: 'raw', size: SIZE, interpolation: 'lanczos' } as const;
const JPEG = { kind: 'jpeg', size: SIZE, interpolation: 'lanczos', quality: 95 } as const;

const base = mkdtempSync(join(tmpdir(), 'alexnet-split-sized-'));
after(() => rmSync(base, { recursive: true, force: true }));
/** The good images in two classes, and the same packed; tests leave them as they are. */
const [FOLDER, RAW_SHARDS, JPEG_SHARDS] = ['folder', 'raw', 'jpeg'].map((name) => join(base, name)) as [
  string,
  string,
  string,
];

before(async () => {
  for (const [part, names] of Object.entries({ train: GOOD, val: ['rgb.jpg', 'gray.jpg'] })) {
    for (const label of ['a', 'b']) {
      mkdirSync(join(FOLDER, part, label), { recursive: true });
      for (const name of names) copyFileSync(join(IMAGES, name), join(FOLDER, part, label, name));
    }
  }
  await pack(RAW_SHARDS, RAW);
  await pack(JPEG_SHARDS, JPEG);
});

function pack(out: string, stored: Stored | undefined, threads = 0) {
  return packImages(openImages(FOLDER), { out, shardBytes: 15_000, stored, threads });
}

/** Raw shards that a test may change. */
function ownShards(t: TestContext): string {
  const out = join(folderOf(t, {}), 'packed');
  cpSync(RAW_SHARDS, out, { recursive: true });
  return out;
}

function optionsFor(source: string, workers: number, data: Partial<FeedOptions['data']> = {}): FeedOptions {
  return {
    ...{ dataset: openDataset(source, 2), batchSize: 8, inputSize: 12, inputChannels: 3, seed: 5 },
    data: { ...PLAIN, resize: SIZE, randomCrop: true, flip: true, mean: [9, 8, 7], ...data, workers },
  };
}

/** A hash of each training batch from `first` on, and of each test batch. */
async function hashesOf(options: FeedOptions, { first = 1, last = 6 } = {}) {
  const feeder = openFeeder(options);
  const hashes: string[] = [];
  const add = async (take: Promise<{ slot: number; count: number; step: number }>) => {
    const batch = await take;
    const { images, labels } = slotViews(feeder.slots[batch.slot]!, feeder.layout);
    const values = batch.count * options.inputSize ** 2 * feeder.layout.channels;
    hashes.push(
      createHash('sha256').update(images.slice(0, values)).update(labels.slice(0, batch.count)).digest('hex'),
    );
    feeder.release(batch);
  };
  try {
    for (let step = first; step <= last; step++) await add(feeder.train(step));
    for (let number = 0; number < feeder.testBatches; number++) await add(feeder.test(number));
  } finally {
    await feeder.close();
  }
  return { train: hashes.slice(0, last - first + 1), test: hashes.slice(last - first + 1) };
}

test('raw shards give the batches of the folder bit for bit, with any number of workers and after a resume', async () => {
  assert.ok(readdirSync(RAW_SHARDS).filter((name) => /^train.*tar$/.test(name)).length > 2);
  const expected = await hashesOf(optionsFor(FOLDER, 0));
  assert.equal(new Set(expected.train).size, 6); // two epochs
  for (const workers of [0, 1, 3]) {
    assert.deepEqual(await hashesOf(optionsFor(RAW_SHARDS, workers)), expected, `${workers}`);
  }
  const resumed = await hashesOf(optionsFor(RAW_SHARDS, 3), { first: 5 });
  assert.deepEqual(resumed.train, expected.train.slice(4));
});

test('a window mixes packed images the same way with any number of workers and after a resume', async () => {
  const raw = RAW_SHARDS;
  const window = { shuffle: 'window', shuffleWindow: 6 } as const;
  const expected = await hashesOf(optionsFor(raw, 0, window));
  assert.deepEqual(await hashesOf(optionsFor(raw, 3, window)), expected);
  assert.deepEqual((await hashesOf(optionsFor(raw, 1, window), { first: 5 })).train, expected.train.slice(4));
  const full = await hashesOf(optionsFor(raw, 0));
  assert.deepEqual(full.test, expected.test);
  assert.ok(full.train.every((hash, i) => hash !== expected.train[i]));
  const refused = (error: Error) =>
    error instanceof ConfigError && /are not packed, expected shards/.test(error.message);
  assert.throws(() => openFeeder(optionsFor(FOLDER, 0, window)), refused);
});

test('buffers of raw images that are used again mix no images, also while batches are filled at the same time', async () => {
  const filledFrom = async (source: string) => {
    const { seed, data, ...rest } = optionsFor(source, 0);
    const colours = { deviations: [0, 0, 0], directions: [0, 1, 2].map(() => [0, 0, 0]) } as never;
    const layout = layoutFor({ ...rest, seed, data, colours });
    const slots = [1, 2, 3, 4].map(() => createSlot(layout));
    const filler = createFiller({ ...rest, seed, data, slots, colours } satisfies FillSetup);
    await Promise.all(
      slots.map((_, slot) => filler.fill({ kind: 'training', number: slot + 1, slot, part: 0, parts: 1 })),
    );
    filler.close();
    return slots.map((slot) => Buffer.from(slot));
  };
  assert.deepEqual(await filledFrom(RAW_SHARDS), await filledFrom(FOLDER));
});

test('JPEG shards hold the pixels of the folder once encoded, which are read without scaling, with any number of workers', async (t) => {
  const out = JPEG_SHARDS;
  const [files, images] = [openImages(FOLDER), openImages(out)];
  const [reader, original] = [openReader(out, images.train), openReader(FOLDER, files.train)];
  t.after(() => reader.close());
  const decode = await openDecoder(SIZE, 3);
  const pixelsOf = (found: Awaited<ReturnType<typeof decode>>) => {
    assert.ok('pixels' in found);
    return Buffer.from(found.pixels);
  };
  for (let i = 0; i < images.train.count; i++) {
    const pixels = pixelsOf((await original.read(i, decode)) as Awaited<ReturnType<typeof decode>>);
    const stored = await reader.read(i, (bytes) => bytes);
    assert.ok(Buffer.isBuffer(stored));
    assert.deepEqual(stored, await encodeJpeg(pixels, SIZE, 95), nameAt(images.train.names, i));
    const again = pixelsOf(await decode(stored));
    const differences = again.map((value, k) => Math.abs(value - pixels[k]!));
    assert.ok(Math.max(...differences) < 60 && differences.reduce((sum, each) => sum + each, 0) / again.length < 4);
  }
  const expected = await hashesOf(optionsFor(out, 0));
  for (const workers of [1, 3]) assert.deepEqual(await hashesOf(optionsFor(out, workers)), expected);
});

test('packImages() makes the same bytes with any number of threads', async (t) => {
  const contents = (out: string) => readdirSync(out).map((name) => [name, readFileSync(join(out, name), 'base64')]);
  const out = folderOf(t, {});
  await pack(join(out, 'jpeg'), JPEG, 3);
  assert.deepEqual(contents(join(out, 'jpeg')), contents(JPEG_SHARDS));
  for (const threads of [0, 3]) await pack(join(out, `${threads}`), undefined, threads);
  assert.deepEqual(contents(join(out, '3')), contents(join(out, '0')));
});

test('images that cannot be read are all found, everything else is packed, and skip continues without them', async (t) => {
  const bad = Object.keys(BAD_IMAGES);
  const files = [...GOOD.map((name) => [`train/a/${name}`, name]), ...bad.map((name) => [`train/b/${name}`, name])];
  const rest = { 'train/b/1.jpg': 'rgb.jpg', 'val/a/1.jpg': 'rgb.jpg', 'val/b/1.jpg': 'rgb.jpg' };
  const folder = imageFolderOf(t, { ...Object.fromEntries(files), ...rest });
  const out = join(folderOf(t, {}), 'packed');
  const packBad = (onBadImage: 'fail' | 'skip') =>
    packImages(openImages(folder), { out, shardBytes: 8000, stored: RAW, onBadImage });
  for (const _ of [1, 2]) {
    await assert.rejects(
      packBad('fail'),
      /Cannot pack 5 images of .*, such as train\/b\/empty\.jpg: the file is empty, .* --on-bad-image skip/,
    );
  }
  assert.throws(() => openImages(out), /was not finished/);
  const { shards, kept, images, leftOut } = await packBad('skip');
  assert.deepEqual([kept, images], [shards, GOOD.length + 3]);
  assert.deepEqual(
    leftOut.map(({ path }) => path),
    bad.map((name) => `train/b/${name}`),
  );
  const { train, test: val, leftOut: listed, remarks, stored } = openImages(out);
  assert.deepEqual([train.count, val.count, listed?.length, stored], [GOOD.length + 1, 2, 5, RAW]);
  assert.match(remarks![0]!, /^5 images were left out when it was packed/);
  const names = Array.from({ length: train.count }, (_, i) => nameAt(train.names, i));
  assert.deepEqual(names, [...GOOD.map((name) => `train/a/${name}`), 'train/b/1.jpg']); // in the folder's order
  await hashesOf({ ...optionsFor(FOLDER, 0), dataset: openDataset(out, 2) }, { last: 2 }); // every one of them is read
});

test('an image that was left out and can be read again is packed by the next run, whatever the time of its file says', async (t) => {
  const names = ['train/a/1.jpg', 'train/a/2.jpg', 'train/b/1.jpg', 'val/a/1.jpg', 'val/b/1.jpg'];
  const image = readFileSync(join(IMAGES, 'rgb.jpg'));
  const folder = imageFolderOf(t, Object.fromEntries(names.map((name) => [name, image])));
  const path = join(folder, names[1]!);
  const time = new Date(1e12);
  const write = (content: Buffer) => {
    writeFileSync(path, content);
    utimesSync(path, time, time);
  };
  const packed = (out: string, onBadImage: 'fail' | 'skip') =>
    packImages(openImages(folder), { out, shardBytes: 1_000, stored: RAW, onBadImage });
  const [out, whole] = [join(folderOf(t, {}), 'packed'), join(folderOf(t, {}), 'packed')];
  for (const onBadImage of ['fail', 'skip'] as const) {
    write(Buffer.alloc(image.length));
    const first = packed(out, onBadImage);
    if (onBadImage === 'fail') await assert.rejects(first, /train\/a\/2\.jpg/);
    else assert.equal((await first).leftOut.length, 1);
    write(image);
    const { images, kept, shards, leftOut } = await packed(out, onBadImage);
    assert.deepEqual([images, kept, leftOut.length], [5, shards - 1, 0]);
    assert.equal(openImages(out).train.count, 3);
    rmSync(whole, { recursive: true, force: true });
    await packed(whole, 'fail');
    for (const name of readdirSync(whole)) {
      assert.deepEqual(readFileSync(join(out, name)), readFileSync(join(whole, name)), name);
    }
    rmSync(out, { recursive: true });
  }
});

test('measureDecoding() reads stored images as they are stored', async () => {
  const options = { resize: SIZE, channels: 3, decoders: 1, seconds: 0.001, seed: 1 } as const;
  const raw = await measureDecoding(openImages(RAW_SHARDS), options);
  assert.ok(raw && raw.imagesPerS > 0);
  assert.deepEqual([raw.shorterSide, raw.meanBytes], [SIZE, SIZE * SIZE * 3]);
  assert.equal((await measureDecoding(openImages(JPEG_SHARDS), options))?.shorterSide, SIZE);
});

test('raw shards share the statistics of their folder, and JPEG shards have their own', async (t) => {
  const [folder, raw] = [FOLDER, RAW_SHARDS];
  const jpeg = join(folderOf(t, {}), 'jpeg');
  cpSync(JPEG_SHARDS, jpeg, { recursive: true });
  const cache = folderOf(t, {});
  let read = 0;
  const statistics = (source: string, resize = SIZE) => {
    read = 0;
    const progress = () => read++;
    return statisticsOf(openImages(source), {
      ...{ resize, channels: 3, onBadImage: 'fail', concurrency: 2, cache, progress },
    });
  };
  const own = await statistics(folder);
  assert.deepEqual([await statistics(raw), read], [own, 0]);
  const recompressed = await statistics(jpeg);
  assert.notDeepEqual([recompressed.mean, read], [own.mean, 0]);
  assert.ok(read > 0);
  await statistics(folder, 14);
  await statistics(raw, 14); // scaled twice
  assert.ok(read > 0);
  await keepStatistics(openImages(jpeg), recompressed);
  const unusable = { resize: SIZE, channels: 3, onBadImage: 'fail', concurrency: 2 } as const;
  const beside = await statisticsOf(openImages(jpeg), { ...unusable, cache: '/dev/null/none' });
  assert.deepEqual(beside, recompressed);
});

test('stored images are refused at a larger size, and scaled with a warning to a smaller one', async () => {
  const [folder, raw] = [FOLDER, RAW_SHARDS];
  const open = (resize: number, interpolation?: 'bilinear') =>
    openDataset(raw, 2, 3, { resize, interpolation, seed: 0 });
  assert.throws(
    () => open(17),
    (error: Error) =>
      error instanceof ConfigError && /stored with 16 pixels, .*use --resize 16, or pack/.test(error.message),
  );
  assert.deepEqual([open(16).remarks?.length ?? 0, open(14).remarks?.length], [0, 1]);
  assert.match(open(14).remarks![0]!, /scaled again to 14/);
  assert.match(open(16, 'bilinear').remarks![0]!, /were scaled by lanczos, and data\.interpolation is bilinear/);
  const upright = openDataset(raw, 2, 3, { resize: 16, upright: true, seed: 0 });
  assert.match(upright.remarks![0]!, /were not turned by their EXIF orientation, and data\.upright is true/);
  for (const inputChannels of [1, 3]) {
    const grey = { ...optionsFor(raw, 0, { resize: 14, mean: Array(inputChannels).fill(0) }), inputChannels };
    assert.equal(new Set((await hashesOf(grey, { last: 3 })).train).size, 3);
  }
  // In grey at the size of the shards, they are the pixels of the folder.
  const inGrey = (source: string) => ({ ...optionsFor(source, 0, { mean: [9] }), inputChannels: 1 });
  assert.deepEqual(await hashesOf(inGrey(raw)), await hashesOf(inGrey(folder)));
});

test('a raw image is a file of NumPy: a header of 128 bytes, and the pixels at the offset of the index', () => {
  const raw = RAW_SHARDS;
  const { train } = openImages(raw);
  const { shards, shard, offset, bytes } = train.places!;
  const tarFile = readFileSync(join(raw, shards[shard[3]!]!));
  const at = offset[3]! - 128;
  assert.equal(bytes[3], SIZE * SIZE * 3);
  assert.equal(tarFile.toString('latin1', at - 512, at - 512 + 13), '000000003.npy');
  const header = tarFile.subarray(at, at + 128);
  assert.deepEqual(header, npyHeader(SIZE));
  assert.deepEqual([...header.subarray(0, 8)], [0x93, ...Buffer.from('NUMPY'), 1, 0]);
  assert.equal(header.readUInt16LE(8), 118);
  assert.match(
    header.toString('latin1', 10),
    /^\{'descr': '\|u1', 'fortran_order': False, 'shape': \(16, 16, 3\), \} *\n$/,
  );
});

test('checkShards() finds one changed byte, which no decoder would notice', async (t) => {
  const raw = ownShards(t);
  const dataset = openImages(raw);
  const { shards, shard, offset } = dataset.train.places!;
  const all = shards.length + dataset.test.places!.shards.length;
  assert.deepEqual(await checkShards(dataset), { compared: all, withoutHash: 0, damaged: [] });
  const name = shards[shard[0]!]!;
  const bytes = readFileSync(join(raw, name));
  bytes[offset[0]! + 5]! ^= 1;
  writeFileSync(join(raw, name), bytes);
  assert.deepEqual((await checkShards(dataset))?.damaged, [name]);
  const index = join(raw, name.replace('.tar', '.json'));
  writeFileSync(index, readFileSync(index, 'utf8').replace(/,"sha256":"\w+"/, ''));
  assert.deepEqual(await checkShards(dataset), { compared: all - 1, withoutHash: 1, damaged: [] });
  assert.equal(await checkShards(openImages(FOLDER)), undefined);
});

test('readPacked() refuses descriptions of stored images that do not fit', async (t) => {
  const raw = ownShards(t);
  const file = join(raw, 'dataset.json');
  const text = readFileSync(file, 'utf8');
  for (const [from, to] of [
    ['"version":2', '"version":1'],
    ['"kind":"raw"', '"kind":"bmp"'],
    ['"size":16', '"size":0'],
    ['"images":', '"leftOut":1,"images":'],
  ] as const) {
    assert.ok(text.includes(from));
    writeFileSync(file, text.replace(from, to));
    assert.throws(() => openImages(raw), DataError, to);
  }
});

test('batches of JPEG shards are the same if TensorFlow decodes them, with any number of workers', async () => {
  const plain = await hashesOf(optionsFor(JPEG_SHARDS, 0));
  openContext();
  // Right for the image that is compared, and wrong for others: so the hashes tell whether it is used.
  const wrong = `data:text/javascript,${encodeURIComponent(`
    import * as native from ${JSON.stringify(JPEG_DECODER)};
    export const openJpegDecoder = () => {
      const decode = native.openJpegDecoder();
      return async (file) => (await decode(file)).map((level, _, all) => (all.length === 3 * ${SIZE} ** 2 ? 255 - level : level));
    };`)}`;
  for (const workers of [0, 2]) {
    const options = optionsFor(JPEG_SHARDS, workers);
    assert.deepEqual(await hashesOf({ ...options, jpegDecoder: JPEG_DECODER }), plain);
    assert.notDeepEqual(await hashesOf({ ...options, jpegDecoder: wrong }), plain);
  }
});
