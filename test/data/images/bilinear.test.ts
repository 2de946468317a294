import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { resizeBilinear } from '../../../src/data/images/bilinear.js';
import { openDecoder } from '../../../src/data/images/decode.js';

const FIXTURE = fileURLToPath(new URL('../../../../test/fixtures/pillow.json', import.meta.url));
const { cases } = JSON.parse(readFileSync(FIXTURE, 'utf8')) as {
  cases: [width: number, height: number, size: number, sha256: string][];
};

const pixelsOf = (width: number, height: number) =>
  Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * i * 31 + i * 17) % 251);
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

// scripts/pillow_resize.py made the hashes.
test("resizeBilinear() gives the bits of Pillow, smaller and larger, and torchvision's window", () => {
  for (const [width, height, size, sha256] of cases) {
    const out = resizeBilinear(pixelsOf(width, height), { width, height, channels: 3 }, size);
    assert.equal(hashOf(out), sha256, `${width}x${height} to ${size}`);
  }
});

test('resizeBilinear() treats one channel as it treats each of three', () => {
  const grey = Uint8Array.from({ length: 37 * 23 }, (_, i) => (i * 7) % 256);
  const colour = Uint8Array.from({ length: grey.length * 3 }, (_, i) => grey[Math.floor(i / 3)]!);
  const one = resizeBilinear(grey, { width: 37, height: 23, channels: 1 }, 16);
  const three = resizeBilinear(colour, { width: 37, height: 23, channels: 3 }, 16);
  assert.deepEqual(
    three.filter((_, i) => i % 3 === 1),
    one,
  );
});

test('decode() scales files as Pillow does if the settings say so, in colour and grey', async () => {
  const [width, height, size, sha256] = cases[0]!;
  const raw = { width, height, channels: 3 } as const;
  const png = await sharp(pixelsOf(width, height), { raw }).png().toBuffer();
  const pixels = async (channels: 1 | 3, interpolation?: 'lanczos' | 'bilinear') => {
    const decoded = await (await openDecoder(size, channels, { interpolation }))(png);
    return 'pixels' in decoded ? decoded.pixels : assert.fail(decoded.reason);
  };
  assert.equal(hashOf(await pixels(3, 'bilinear')), sha256);
  assert.deepEqual(await pixels(3), await pixels(3, 'lanczos'));
  assert.notEqual(hashOf(await pixels(3)), sha256);
  const grey = await sharp(pixelsOf(width, height), { raw }).toColourspace('b-w').raw().toBuffer();
  assert.deepEqual(await pixels(1, 'bilinear'), resizeBilinear(grey, { width, height, channels: 1 }, size));
});
