import assert from 'node:assert/strict';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { readIdxImages, readIdxLabels } from '../../../src/data/sets/idx.js';
import { DataError } from '../../../src/errors.js';
import { folderOf, idx } from '../sets.js';

const PIXELS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
const IMAGES = idx(0x803, [2, 2, 3], PIXELS);
const LABELS = idx(0x801, [3], [0, 9, 4]);

function fileOf(t: TestContext, bytes: Uint8Array): string {
  return join(folderOf(t, { file: bytes }), 'file');
}

function assertRefused(path: string, read: () => unknown, wanted: RegExp): void {
  assert.throws(read, (error: Error) => {
    assert.ok(error instanceof DataError, `${error}`);
    assert.match(error.message, wanted);
    assert.ok(error.message.includes(path), error.message);
    assert.match(error.message, /^Cannot [^\n]*: [^\n]*expected [^\n]*; [^\n]*[^.\n]$/);
    return true;
  });
}

test('readIdxImages() reads plain and gzip files of any name into shared memory', (t) => {
  for (const bytes of [IMAGES, gzipSync(IMAGES)]) {
    const { count, height, width, pixels } = readIdxImages(fileOf(t, bytes));
    assert.deepEqual([count, height, width, [...pixels]], [2, 2, 3, PIXELS]);
    assert.ok(pixels.buffer instanceof SharedArrayBuffer);
  }
});

test('readIdxLabels() reads plain and gzip files into shared memory', (t) => {
  for (const bytes of [LABELS, gzipSync(LABELS)]) {
    const { values: labels } = readIdxLabels(fileOf(t, bytes), 'images', 3, 10);
    assert.deepEqual([...labels], [0, 9, 4]);
    assert.ok(labels.buffer instanceof SharedArrayBuffer);
  }
});

const BROKEN: [name: string, bytes: Buffer, wanted: RegExp][] = [
  ['an empty file', Buffer.alloc(0), /ends after 0 bytes, expected a header of 16/],
  ['a header cut off', IMAGES.subarray(0, 9), /ends after 9 bytes, expected a header of 16/],
  ['labels instead of images', idx(0x801, [13], Array(13).fill(1)), /0x00000801, expected 0x00000803/],
  ['another format', Buffer.from('\x89PNG\r\n\x1a\n and so on', 'latin1'), /0x89504e47, expected 0x00000803/],
  ['no images', idx(0x803, [0, 28, 28], []), /says 0 x 28 x 28, expected at least one/],
  ['images without width', idx(0x803, [2, 28, 0], []), /says 2 x 28 x 0, expected at least one/],
  ['a byte too few', IMAGES.subarray(0, -1), /truncated: it holds (27|fewer) bytes, expected 28 for the 2 x 2 x 3/],
  [
    'a byte too many',
    Buffer.concat([IMAGES, Buffer.alloc(1)]),
    /trailing bytes: it holds (29|more) bytes, expected 28/,
  ],
  // 4 Gi x 4 Gi x 4 Gi pixels: taking memory for them would end the process.
  ['an absurd size', idx(0x803, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], PIXELS), /truncated|at most 1073741824/],
];

for (const [name, bytes, wanted] of BROKEN) {
  test(`readIdxImages() refuses ${name}, plain and gzip`, (t) => {
    for (const each of [bytes, gzipSync(bytes)]) {
      const path = fileOf(t, each);
      assertRefused(path, () => readIdxImages(path), wanted);
    }
  });
}

test('readIdxImages() refuses truncated and damaged gzip files', (t) => {
  const whole = gzipSync(
    idx(
      0x803,
      [100, 10, 10],
      Array.from({ length: 10_000 }, (_, i) => (i * i) % 251),
    ),
  );
  const cut = fileOf(t, whole.subarray(0, -20));
  assertRefused(cut, () => readIdxImages(cut), /truncated/);
  const cutEarly = fileOf(t, whole.subarray(0, 12));
  assertRefused(cutEarly, () => readIdxImages(cutEarly), /ends after \d+ bytes, expected a header/);
  const flipped = Buffer.from(whole);
  flipped[whole.length - 6]! ^= 0xff; // in the checksum
  const damaged = fileOf(t, flipped);
  assertRefused(damaged, () => readIdxImages(damaged), /gzip data is damaged/);
});

test('readIdxImages() stops decompressing at the size in the header', (t) => {
  const path = fileOf(t, gzipSync(Buffer.concat([IMAGES, Buffer.alloc(2 ** 26)])));
  // It counted to 29 and no further, or it would tell how many.
  assertRefused(path, () => readIdxImages(path), /trailing bytes: it holds more bytes, expected 28/);
});

test('readIdxImages() refuses a compressed file whose header announces more than a gigabyte', (t) => {
  const path = fileOf(t, gzipSync(idx(0x803, [2_000_000, 28, 28], PIXELS)));
  assertRefused(path, () => readIdxImages(path), /announces 1568000016 bytes, expected at most 1073741824 .*gunzip/);
});

test('readIdxImages() refuses a folder or a missing file', (t) => {
  const folder = folderOf(t, {});
  assertRefused(folder, () => readIdxImages(folder), /EISDIR/);
  const nothing = join(folder, 'nothing');
  assertRefused(nothing, () => readIdxImages(nothing), /ENOENT/);
});

test('readIdxLabels() refuses a number of labels that differs from the number of images', (t) => {
  const path = fileOf(t, LABELS);
  assertRefused(
    path,
    () => readIdxLabels(path, '/images', 4, 10),
    /3 labels, expected 4, one for each image of \/images/,
  );
});

test('readIdxLabels() names the first label that is out of range', (t) => {
  const path = fileOf(t, LABELS);
  assertRefused(path, () => readIdxLabels(path, '/images', 3, 9), /label 9 at index 1, expected 0 to 8/);
});
