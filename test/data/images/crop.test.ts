import assert from 'node:assert/strict';
import test from 'node:test';
import { createCrop, type SourceSize, stretchAxis } from '../../../src/data/images/crop.js';

function cutAt(
  pixels: Uint8Array,
  source: SourceSize,
  resize: number,
  size: number,
  top: number,
  left: number,
  flip = false,
) {
  const window = new Float32Array(size * size * source.channels);
  createCrop(source, resize, size)(window, pixels, 0, top, left, flip);
  return [...window];
}

test('stretchAxis() has half-pixel centres and repeats the edges', () => {
  const { low, high, weight } = stretchAxis(2, 4); // places -0.25, 0.25, 0.75, 1.25
  assert.deepEqual([...low], [0, 0, 0, 1]);
  assert.deepEqual([...high], [0, 1, 1, 1]);
  assert.deepEqual([...weight], [0.75, 0.25, 0.75, 0.25]);
});

// By hand: rows 0 25 75 100 and 200 160 80 40, then three parts of one and one part of the other between them.
const STRETCHED = [
  [0, 25, 75, 100],
  [50, 58.75, 76.25, 85],
  [150, 126.25, 78.75, 55],
  [200, 160, 80, 40],
];
const SQUARE = Uint8Array.from([0, 100, 200, 40]);
const GREY_2X2 = { height: 2, width: 2, channels: 1 };

test('createCrop() stretches 2 x 2 to 4 x 4 as computed by hand', () => {
  assert.deepEqual(cutAt(SQUARE, GREY_2X2, 4, 4, 0, 0), STRETCHED.flat());
});

test('createCrop() crops every window of the stretched image, flipped or not', () => {
  for (const top of [0, 1, 2]) {
    for (const left of [0, 1, 2]) {
      const rows = STRETCHED.slice(top, top + 2).map((row) => row.slice(left, left + 2));
      assert.deepEqual(cutAt(SQUARE, GREY_2X2, 4, 2, top, left), rows.flat());
      assert.deepEqual(
        cutAt(SQUARE, GREY_2X2, 4, 2, top, left, true),
        rows.flatMap((row) => row.reverse()),
      );
    }
  }
});

test('createCrop() copies an image that has the right size', () => {
  const pixels = Uint8Array.from({ length: 9 }, (_, i) => 20 * i);
  assert.deepEqual(cutAt(pixels, { height: 3, width: 3, channels: 1 }, 3, 3, 0, 0), [...pixels]);
});

test('createCrop() shrinks by sampling between the nearest pixels', () => {
  const pixels = Uint8Array.from({ length: 16 }, (_, i) => 4 * (i % 4) + 40 * Math.floor(i / 4));
  // Places 0.5 and 2.5 on each side.
  assert.deepEqual(cutAt(pixels, { height: 4, width: 4, channels: 1 }, 2, 2, 0, 0), [22, 30, 102, 110]);
});

test('createCrop() stretches rectangles, each channel separately', () => {
  // One row of two pixels, red and blue.
  const pixels = Uint8Array.from([200, 0, 0, 0, 0, 100]);
  const [red, orange, violet, blue] = [
    [200, 0, 0],
    [150, 0, 25],
    [50, 0, 75],
    [0, 0, 100],
  ] as const;
  const row = [red, orange, violet, blue].flat();
  const oblong = { height: 1, width: 2, channels: 3 };
  assert.deepEqual(cutAt(pixels, oblong, 4, 4, 0, 0), [...row, ...row, ...row, ...row]);
  const mirrored = [blue, violet, orange, red].flat();
  assert.deepEqual(cutAt(pixels, oblong, 4, 4, 0, 0, true), [...mirrored, ...mirrored, ...mirrored, ...mirrored]);
});

test('createCrop() reuses no rows of another image', () => {
  const cut = createCrop(GREY_2X2, 4, 2);
  const pixels = Uint8Array.from([9, 9, 9, 9, ...SQUARE]);
  const window = new Float32Array(4);
  cut(window, pixels, 0, 2, 2, false);
  assert.deepEqual([...window], [9, 9, 9, 9]);
  cut(window, pixels, 4, 2, 2, false);
  assert.deepEqual([...window], [78.75, 55, 80, 40]);
});
