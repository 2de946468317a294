/** The faster decoder of stored JPEG images, and when it is left out. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { encodeJpeg, openDecoder } from '../../../src/data/images/decode.js';
import { openContext } from '../../../src/native/index.js';
import { JPEG_DECODER } from '../../../src/train/feed.js';
import { IMAGES } from '../sets.js';

const SIZE = 24;
const STORED = { kind: 'jpeg', size: SIZE, interpolation: 'lanczos', quality: 95 } as const;

/** A module with a decoder by `body`, which may count what it is given. */
const moduleOf = (body: string) =>
  `data:text/javascript,${encodeURIComponent(`
    const seen = globalThis.seenByDecoder ??= { opened: 0, files: 0 };
    ${body}`)}`;

const seen = () => (globalThis as unknown as { seenByDecoder: { opened: number; files: unknown } }).seenByDecoder;

/** An image as packing stores it, and its pixels by sharp alone. */
async function storedImage() {
  const open = await openDecoder(SIZE, 3);
  const original = await open(readFileSync(join(IMAGES, 'rgb.jpg')));
  assert.ok('pixels' in original);
  const file = await encodeJpeg(original.pixels, SIZE, STORED.quality);
  const own = await (await openDecoder(SIZE, 3, {}, STORED))(file);
  assert.ok('pixels' in own);
  return { file, own: Buffer.from(own.pixels) };
}

/** The pixels of three decodings of the same file, one after the other. */
async function threeTimes(file: Buffer, jpegDecoder: string, size = SIZE, channels: 1 | 3 = 3) {
  const decode = await openDecoder(size, channels, { jpegDecoder }, STORED);
  const results = [];
  for (let i = 0; i < 3; i++) {
    const result = await decode(file);
    assert.ok('pixels' in result, JSON.stringify(result));
    results.push(Buffer.from(result.pixels));
  }
  return results;
}

test("TensorFlow's decoder gives sharp's pixels, and is used", async () => {
  openContext();
  const { file, own } = await storedImage();
  const url = moduleOf(`import * as native from ${JSON.stringify(JPEG_DECODER)};
    seen.files = 0;
    export const openJpegDecoder = () => {
      const decode = native.openJpegDecoder();
      return (file) => (seen.files++, decode(file));
    };`);
  assert.deepEqual(await threeTimes(file, url), [own, own, own]);
  assert.equal(seen().files, 4); // the comparison too
  const cut = file.subarray(0, 200);
  const decode = await openDecoder(SIZE, 3, { jpegDecoder: url }, STORED);
  assert.deepEqual(await decode(cut), { reason: 'it is a JPEG image cut short' });
});

test('a decoder that gives other pixels than sharp is not used', async () => {
  const { file, own } = await storedImage();
  const url = moduleOf(`export const openJpegDecoder = () => async (file) => {
    seen.files = 'compared';
    return new Uint8Array(${SIZE * SIZE * 3});
  };`);
  assert.deepEqual(await threeTimes(file, url), [own, own, own]);
  assert.equal(seen().files, 'compared');
});

test('a decoder that fails its comparison by an error is not used', async () => {
  const { file, own } = await storedImage();
  const url = moduleOf(`export const openJpegDecoder = () => async () => { throw new Error('broken'); };`);
  assert.deepEqual(await threeTimes(file, url), [own, own, own]);
});

test('a file that is cut short, of another size or in another format, never reaches the decoder', async () => {
  openContext();
  const { file } = await storedImage();
  const url = moduleOf(`export const openJpegDecoder = () => { throw new Error('it is not for these'); };`);
  const decode = await openDecoder(SIZE, 3, { jpegDecoder: url }, STORED);
  const plain = await openDecoder(SIZE, 3, {}, STORED);
  const others = [
    file.subarray(0, -2),
    file.subarray(0, 200),
    readFileSync(join(IMAGES, 'rgb.jpg')),
    readFileSync(join(IMAGES, 'rgba.png')),
  ];
  for (const other of others) assert.deepEqual(await decode(other), await plain(other));
});

test('a module that does not load, or fails, leaves all images to sharp', async () => {
  const { file, own } = await storedImage();
  for (const url of [
    'file:///there/is/no/module.js',
    moduleOf(`export const openJpegDecoder = () => { throw new Error('no'); };`),
  ]) {
    assert.deepEqual(await threeTimes(file, url), [own, own, own]);
  }
});

test('pixels of another size than the image are not used', async () => {
  openContext();
  const { file, own } = await storedImage();
  const url = moduleOf(`import * as native from ${JSON.stringify(JPEG_DECODER)};
    export const openJpegDecoder = () => {
      const decode = native.openJpegDecoder();
      let isCompared = false;
      return async (file) => (isCompared ? new Uint8Array(3) : ((isCompared = true), decode(file)));
    };`);
  assert.deepEqual(await threeTimes(file, url), [own, own, own]);
});

test('a decoder is asked for until there is one', async () => {
  const { file, own } = await storedImage();
  const url = moduleOf(`let asked = 0;
    export const openJpegDecoder = () => {
      seen.opened = ++asked;
      return asked < 3 ? undefined : async () => new Uint8Array(3);
    };`);
  assert.deepEqual(await threeTimes(file, url), [own, own, own]);
  assert.equal(seen().opened, 3);
});

test('images that are scaled, or become grey, are left to sharp', async () => {
  const { file } = await storedImage();
  const url = moduleOf(`export const openJpegDecoder = () => { throw new Error('it is not for these'); };`);
  for (const [size, channels] of [
    [SIZE / 2, 3],
    [SIZE, 1],
  ] as const) {
    const plain = await (await openDecoder(size, channels, {}, STORED))(file);
    assert.ok('pixels' in plain);
    const [first] = await threeTimes(file, url, size, channels);
    assert.deepEqual(first, Buffer.from(plain.pixels));
  }
});
