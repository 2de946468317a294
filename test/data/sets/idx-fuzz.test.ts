/** Whatever bytes an IDX file has: images, or a DataError; nothing large allocated. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { readIdxImages, readIdxLabels } from '../../../src/data/sets/idx.js';
import { DataError } from '../../../src/errors.js';
import { fuzz, isSentence } from '../../fuzz.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-idx-'));
after(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'any');

/** A header with any sizes, and values that may not be as many. */
const withHeader = fc
  .record({
    magic: fc.oneof(fc.constantFrom(0x801, 0x803), fc.nat({ max: 0xffffffff })),
    sizes: fc.array(fc.oneof(fc.nat({ max: 4 }), fc.nat({ max: 0xffffffff })), { minLength: 1, maxLength: 3 }),
    values: fc.uint8Array({ maxLength: 64 }),
  })
  .map(({ magic, sizes, values }) => {
    const head = Buffer.alloc(4 + 4 * sizes.length);
    for (const [i, word] of [magic, ...sizes].entries()) head.writeUInt32BE(word, 4 * i);
    return Buffer.concat([head, values]);
  });
/** Whole files, of 3 labels or of a few images. */
const whole = fc.constantFrom([0x801, 3], [0x803, 3, 2, 2], [0x803, 1, 4, 5]).chain((words) => {
  const length = words.slice(1).reduce<number>((product, size) => product * size, 1);
  return fc.uint8Array({ minLength: length, maxLength: length, max: 9 }).map((values) => {
    const head = Buffer.alloc(4 * words.length);
    for (const [i, word] of words.entries()) head.writeUInt32BE(word, 4 * i);
    return Buffer.concat([head, values]);
  });
});
const plain = fc.oneof(
  whole,
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  withHeader,
);
const files = fc.oneof(
  plain,
  plain.map((bytes) => gzipSync(bytes)),
  fc.tuple(withHeader, fc.nat(), fc.nat({ max: 255 })).map(([bytes, at, value]) => {
    const packed = gzipSync(bytes);
    packed[at % packed.length] = value;
    return packed;
  }),
);

test('readIdxImages() and readIdxLabels() read or refuse any file, and allocate no more bytes than its content', async (t) => {
  for (const [what, use] of [
    ['IDX files read as images', () => readIdxImages(file).pixels.length],
    ['IDX files read as labels', () => readIdxLabels(file, 'images', 3, 10).values.length],
  ] as const) {
    await fuzz(t, {
      what,
      cases: files,
      usual: 500,
      read(bytes) {
        fs.writeFileSync(file, bytes);
        assert.ok(use() <= 100);
      },
      refuses: (error) => error instanceof DataError && isSentence(error.message),
    });
  }
});
