/**
 * Decodes images whose bytes were changed, and some that claim to be far larger than they are. Ends with 1 when one is
 * neither decoded nor refused, takes too much memory, or breaks what comes after it.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import sharp from 'sharp';
import { openDecoder } from '../../../src/data/images/decode.js';
import { fuzz, isSentence, trackMemory } from '../../fuzz.js';
import { crc32, IMAGES } from '../sets.js';

const RESIZE = 32;
const decode = await openDecoder(RESIZE, 3);

/** Of a file whose sides are made up; the biggest of what is let through takes 8 bytes for each of 2²⁶ pixels. */
const MOST_BYTES = 800e6;

const photo = readFileSync(join(IMAGES, 'rgb.jpg'));
const [colour] = await Promise.all([sharp(photo).webp().toBuffer()]);
const GOOD = [
  ...readdirSync(IMAGES).map((name) => readFileSync(join(IMAGES, name))),
  colour,
  await sharp(photo).webp({ lossless: true }).toBuffer(),
  await sharp(photo).png({ progressive: true, palette: true }).toBuffer(),
  await sharp(photo).gif().toBuffer(),
].filter(({ length }) => length > 100);

/** The file with another size and a correct checksum. Unchanged if the format is unknown here. */
function withSides(file: Buffer, width: number, height: number): Buffer {
  const bytes = Buffer.from(file);
  if (bytes.toString('latin1', 1, 4) === 'PNG') {
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(height, 20);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  } else if (bytes.toString('latin1', 0, 3) === 'GIF') {
    const frame = bytes.indexOf(0x2c, 13);
    for (const at of [6, frame + 5]) {
      bytes.writeUInt16LE(width & 65_535, at);
      bytes.writeUInt16LE(height & 65_535, at + 2);
    }
  } else if (bytes.toString('latin1', 12, 16) === 'VP8 ') {
    bytes.writeUInt16LE(width & 16_383, 26);
    bytes.writeUInt16LE(height & 16_383, 28);
  } else if (bytes[0] === 0xff) {
    const frame = [0xc0, 0xc2].map((marker) => bytes.indexOf(Buffer.of(0xff, marker, 0))).find((at) => at > 0);
    if (frame !== undefined) bytes.writeUInt16BE(height & 65_535, frame + 5);
    if (frame !== undefined) bytes.writeUInt16BE(width & 65_535, frame + 7);
  }
  return bytes;
}

const side = fc.constantFrom(0, 1, 7, 64, 300, 4_000, 16_383, 65_535, 100_000, 2 ** 31 - 1, 2 ** 32 - 1);
const good = fc.constantFrom(...GOOD);
const changed = fc
  .tuple(good, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }), fc.boolean())
  .map(([file, changes, near]) => {
    const bytes = Buffer.from(file);
    for (const [at, value] of changes) bytes[at % (near ? Math.min(200, bytes.length) : bytes.length)] = value;
    return bytes;
  });
const files = fc.oneof(
  { weight: 5, arbitrary: changed },
  { weight: 1, arbitrary: fc.tuple(good, fc.nat()).map(([file, at]) => file.subarray(0, at % file.length)) },
  { weight: 2, arbitrary: fc.tuple(good, side, side).map((parts) => withSides(...parts)) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(good, good, fc.nat())
      .map(([a, b, at]) => Buffer.concat([a.subarray(0, at % a.length), b.subarray(at % b.length)])),
  },
  {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 60 }).map((tail) => Buffer.concat([photo.subarray(0, 20), tail])),
  },
);

/** A PNG of that many pixels that are all 0, which is next to nothing in bytes. */
function emptyPng(width: number, height: number, rows: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const words = Buffer.alloc(8);
    words.writeUInt32BE(data.length, 0);
    words.writeUInt32BE(crc32(body), 4);
    return Buffer.concat([words.subarray(0, 4), body, words.subarray(4)]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const data = deflateSync(Buffer.alloc(rows * (width + 1)));
  const parts = [chunk('IHDR', head), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

/** A reason that `decode()` returned, as opposed to an error that it throws. */
class Refusal extends Error {}

const told = (line: string): void => void process.stdout.write(`${line}\n`);
await fuzz(
  { diagnostic: told },
  {
    what: 'images',
    cases: files,
    usual: 250,
    mostBytes: MOST_BYTES,
    async read(bytes) {
      const result = await decode(bytes);
      if ('reason' in result) throw new Refusal(result.reason);
      assert.equal(result.pixels.length, RESIZE * RESIZE * 3);
    },
    refuses: (error) => error instanceof Refusal && isSentence(error.message),
  },
);

/** Each with what it is refused with; `pixels` where it is decoded. */
const claims: [string, Buffer, RegExp][] = [
  ['a PNG of 100000 x 100000', emptyPng(100_000, 100_000, 1), /^it is a PNG image of more than 67108864 pixels$/],
  ['a JPEG of 65500 x 65500', withSides(photo, 65_500, 65_500), /^it is a JPEG image of more than 67108864 pixels$/],
  [
    'a progressive JPEG of 16000 x 16000',
    withSides(readFileSync(join(IMAGES, 'prog.jpg')), 16_000, 16_000),
    /^it is a JPEG image of more than 67108864 pixels$/,
  ],
  ['a WebP of 16383 x 16383', withSides(colour, 16_383, 16_383), /^it is a WebP image of more than 67108864 pixels$/],
  ['a WebP of 8191 x 8191', withSides(colour, 8_191, 8_191), /^it is a WebP image that does not decode/],
  [
    'a GIF of 65535 x 65535',
    withSides(await sharp(photo).gif().toBuffer(), 65_535, 65_535),
    /^it is a GIF image of more than 67108864 pixels$/,
  ],
  ['a progressive JPEG of 8000 x 8000', withSides(readFileSync(join(IMAGES, 'prog.jpg')), 8_000, 8_000), /^pixels$/],
  ['a whole PNG of 4000 x 4000', emptyPng(4_000, 4_000, 4_000), /^pixels$/],
];
const memory = trackMemory();
for (const [what, bytes, wanted] of claims) {
  const begun = performance.now();
  const result = await decode(bytes);
  assert.match('reason' in result ? result.reason : 'pixels', wanted, what);
  if ('pixels' in result) assert.equal(result.pixels.length, RESIZE * RESIZE * 3);
  told(`${what}, ${bytes.length} bytes: ${(performance.now() - begun).toFixed(0)} ms`);
}
memory.look();
const grown = memory.grown();
assert.ok(grown < MOST_BYTES, `it took ${grown} bytes`);
assert.ok('pixels' in (await decode(photo)), 'what came before broke it');
