import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import sharp, { type Sharp } from 'sharp';
import { resizeBilinear } from '../../../src/data/images/bilinear.js';
import { decodeWhole, openDecoder, readHeader } from '../../../src/data/images/decode.js';
import { HEIC_REASON } from '../../../src/data/images/heic.js';
import { BAD_IMAGES, crc32, HEIC, IMAGES } from '../sets.js';

async function decoded(bytes: Buffer, resize = 48, channels: 1 | 3 = 3): Promise<Uint8Array> {
  const result = await (await openDecoder(resize, channels))(bytes);
  assert.ok('pixels' in result, JSON.stringify(result));
  assert.equal(result.pixels.length, resize * resize * channels);
  return result.pixels;
}

const fixture = (name: string) => readFileSync(join(IMAGES, name));
const plain = (
  width: number,
  height: number,
  background: string | { r: number; g: number; b: number; alpha: number },
) => sharp({ create: { width, height, channels: typeof background === 'string' ? 3 : 4, background } });

/** Mean absolute difference, grey levels. */
function distance(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
}

test('decode() distinguishes good files from bad ones, and gives the reason', async () => {
  const decode = await openDecoder(32, 3);
  for (const name of readdirSync(IMAGES)) {
    const result = await decode(fixture(name));
    const wanted = BAD_IMAGES[name];
    if (wanted) assert.ok('reason' in result && wanted.test(result.reason), `${name}: ${JSON.stringify(result)}`);
    else assert.ok('pixels' in result, `${name}: ${JSON.stringify(result)}`);
  }
  assert.deepEqual(await decode(HEIC), { reason: HEIC_REASON });
});

test('decode() detects the format by content instead of name, and ignores the orientation in EXIF', async () => {
  const rgb = await decoded(fixture('rgb.jpg'), 16);
  for (const name of ['png_named_jpeg.JPEG', 'gif_named_jpeg.JPEG', 'rgba.png', 'prog.jpg', 'extraneous.jpg']) {
    assert.ok(distance(await decoded(fixture(name), 16), rgb) < 4, name);
  }
  assert.deepEqual(await decoded(fixture('exif6.jpg'), 16), rgb);
});

test('decode() turns and mirrors an image as its EXIF orientation says, if it is asked to', async () => {
  const size = 16;
  const stored = Buffer.from(Array.from({ length: size * size }, (_, i) => i)); // every pixel differs
  const upright: Record<number, (r: number, c: number) => [row: number, column: number]> = {
    1: (r, c) => [r, c],
    2: (r, c) => [r, size - 1 - c],
    3: (r, c) => [size - 1 - r, size - 1 - c],
    4: (r, c) => [size - 1 - r, c],
    5: (r, c) => [c, r],
    6: (r, c) => [size - 1 - c, r],
    7: (r, c) => [size - 1 - c, size - 1 - r],
    8: (r, c) => [c, size - 1 - r],
  };
  for (const [orientation, from] of Object.entries(upright)) {
    const raw = { width: size, height: size, channels: 1 } as const;
    const file = await sharp(stored, { raw })
      .png()
      .withMetadata({ orientation: Number(orientation) })
      .toBuffer();
    const turned = Array.from({ length: size * size }, (_, i) => {
      const [row, column] = from(Math.floor(i / size), i % size);
      return stored[row * size + column]!;
    });
    for (const interpolation of ['lanczos', 'bilinear'] as const) {
      const decode = async (upright?: boolean) => {
        const result = await (await openDecoder(size, 1, { interpolation, upright }))(file);
        assert.ok('pixels' in result);
        return [...result.pixels];
      };
      assert.deepEqual(await decode(true), turned, `${orientation} ${interpolation}`);
      assert.deepEqual(await decode(), [...stored], `${orientation} ${interpolation}`);
    }
  }
});

test('decode() converts grey, CMYK, 16 bits, palettes and transparency to RGB, and RGB to grey', async () => {
  const grey = await decoded(fixture('gray.jpg'));
  for (let i = 0; i < grey.length; i += 3) assert.ok(grey[i] === grey[i + 1] && grey[i] === grey[i + 2]);
  assert.ok(distance(await decoded(fixture('cmyk.jpg')), await decoded(fixture('rgb.jpg'))) < 60);

  const first = async (image: Sharp, channels: 1 | 3 = 3) => [
    ...(await decoded(await image.png().toBuffer(), 5, channels)).subarray(0, 3),
  ];
  const orange = () => plain(9, 7, '#c08040');
  assert.deepEqual(await first(orange()), [192, 128, 64]);
  assert.deepEqual(await first(orange().png({ palette: true })), [192, 128, 64]);
  const deep = await first(orange().toColourspace('rgb16'));
  for (const [i, value] of [192, 128, 64].entries()) assert.ok(Math.abs(deep[i]! - value) <= 1);
  assert.deepEqual(await first(plain(9, 7, { r: 200, g: 100, b: 50, alpha: 1 })), [200, 100, 50]);
  assert.deepEqual(await first(plain(9, 7, { r: 200, g: 100, b: 50, alpha: 0 })), [0, 0, 0], 'on black');
  const luma = await first(orange(), 1);
  assert.ok(luma.every((value) => value === luma[0] && value > 128 && value < 150));
});

test('decode() scales the shorter side and crops the middle, from 1 x 1 up', async () => {
  assert.deepEqual([...(await decoded(fixture('one.jpg'), 4))], Array(48).fill(9));
  // Red left and right of a white square: of 60 x 20, the middle 20 columns are the square.
  const wide = plain(60, 20, '#f00').composite([
    { input: await plain(20, 20, '#fff').png().toBuffer(), left: 20, top: 0 },
  ]);
  const middle = await decoded(await wide.png().toBuffer(), 20);
  assert.deepEqual([...middle], Array(1200).fill(255));
  for (const [width, height] of [
    [1, 5000],
    [5000, 1],
    [3, 2],
  ] as const) {
    const thin = await decoded(await plain(width, height, '#0f0').png().toBuffer(), 8);
    assert.deepEqual([...thin.subarray(0, 3)], [0, 255, 0]);
  }
});

test('decode() decodes a JPEG smaller where it shrinks to a third or less, close to the whole one, and never for bilinear', async () => {
  const [width, height] = [640, 480];
  const pixels = Buffer.alloc(width * height * 3);
  for (let at = 0; at < pixels.length; at++) {
    const [x, y, c] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width), at % 3];
    pixels[at] = 128 + 50 * Math.sin(x / 9 + c) + 50 * Math.cos(y / 7) + 20 * Math.sin(x + 2 * y);
  }
  const jpeg = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
  const whole = await decodeWhole(jpeg);
  const scaled = (resize: number) =>
    sharp(whole.pixels, { raw: { width, height, channels: 3 } })
      .resize(resize, resize, { fit: 'cover' })
      .raw()
      .toBuffer();
  for (const resize of [256, 200]) assert.equal(distance(await decoded(jpeg, resize), await scaled(resize)), 0);
  for (const resize of [160, 120, 64]) {
    const difference = distance(await decoded(jpeg, resize), await scaled(resize));
    assert.ok(difference > 0 && difference < 2, `${resize} pixels: ${difference}`); // docs/data.md says so
  }
  const bilinear = await (await openDecoder(64, 3, { interpolation: 'bilinear' }))(jpeg);
  assert.ok('pixels' in bilinear);
  assert.equal(distance(bilinear.pixels, resizeBilinear(whole.pixels, whole, 64)), 0);
});

test('decode() refuses a header with more pixels than the limit', async () => {
  const png = await plain(4, 4, '#000').png().toBuffer();
  const huge = Buffer.from(png);
  huge.writeUInt32BE(60_000, 16);
  huge.writeUInt32BE(60_000, 20);
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
  const result = await (await openDecoder(8, 3))(huge);
  assert.ok(
    'reason' in result && /a PNG image of more than 67108864 pixels/.test(result.reason),
    JSON.stringify(result),
  );
});

test('decode() blames the file if it asks for memory while its pixels would fit', async (t) => {
  const decode = await openDecoder(8, 3);
  const webp = await plain(9, 7, '#fff').webp().toBuffer();
  const toBuffer = sharp.prototype.toBuffer;
  let refused = 1;
  t.mock.method(sharp.prototype, 'toBuffer', function (this: Sharp) {
    if (refused-- > 0) return Promise.reject(new Error('webp2vips: out of memory'));
    return toBuffer.call(this);
  });
  assert.ok('pixels' in (await decode(webp)), 'it was others that had the memory');
  refused = 2;
  assert.deepEqual(await decode(webp), {
    reason: 'it is a WebP image that does not decode (webp2vips: out of memory)',
  });
  t.mock.method(Buffer, 'allocUnsafeSlow', () => {
    throw new RangeError('Array buffer allocation failed');
  });
  refused = 1;
  await assert.rejects(decode(webp), { code: 'ENOMEM' });
});

test('decode() refuses SVG', async () => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
  const result = await (await openDecoder(8, 3))(Buffer.from(svg));
  assert.ok('reason' in result && /not a JPEG/.test(result.reason));
});

test('decode() works while other threads load sharp', async () => {
  // A thread that loads sharp changes settings of the whole process. Each load of the module does so again.
  const program = `
    import { parentPort, workerData } from 'node:worker_threads';
    for (let load = 0; load < 5; load++) {
      const { openDecoder } = await import(workerData + '?' + load);
      await openDecoder(8, 3);
    }
    parentPort.postMessage('open');`;
  const url = new URL('../../../src/data/images/decode.js', import.meta.url).href;
  const thread = () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), { workerData: url });
  let opened = 0;
  const begin = async () => {
    for (let i = 0; i < 4; i++) {
      await once(thread(), 'message');
      opened++;
    }
  };
  const beginning = begin();
  const good = fixture('rgb.jpg');
  while (opened < 4) await decoded(good, 8);
  await beginning;
});

test('readHeader() returns format, colour space and size', async () => {
  assert.deepEqual(await readHeader(fixture('png_named_jpeg.JPEG')), {
    format: 'png',
    space: 'srgb',
    width: 64,
    height: 48,
    orientation: 1,
  });
  assert.equal((await readHeader(fixture('exif6.jpg'))).orientation, 6);
  assert.equal((await readHeader(fixture('cmyk.jpg'))).space, 'cmyk');
  await assert.rejects(readHeader(fixture('html.jpg')));
});
