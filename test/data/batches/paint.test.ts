/** What is written into a slot: grey levels wherever they are whole. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { createPaint } from '../../../src/data/batches/paint.js';
import { createSlot, layoutOf, slotViews } from '../../../src/data/batches/slots.js';
import { centerCrop, type ImageOptions } from '../../../src/data/images/augment.js';
import { ConfigError } from '../../../src/errors.js';
import { PLAIN } from '../sets.js';

const SIZES = { batchSize: 2, inputSize: 2, inputChannels: 3 };
const SOURCE = { height: 4, width: 4, channels: 3 };
const OPTIONS: ImageOptions = { ...PLAIN, resize: 4, mean: [0, 0, 0], scale: 1 };
const NOISE = { strength: 0.1, end: null, divide: true, colours: 'imagenet' } as const;

test('layoutOf() has bytes where levels are whole: not of images that are stretched or whose colours are changed', () => {
  const isBytes = (change: Partial<ImageOptions>, source = SOURCE) =>
    layoutOf(source, { ...OPTIONS, ...change }, SIZES, new Float32Array(48)).normalization !== undefined;
  for (const change of [
    {},
    { randomCrop: true, flip: true },
    { meanImage: true, scale: 0.5 },
    { colourNoise: NOISE },
  ]) {
    assert.ok(isBytes(change), JSON.stringify(change));
  }
  for (const change of [{ brightness: 0.1 }, { contrast: 0.1 }, { saturation: 0.1 }, { resize: 5 }]) {
    assert.ok(!isBytes(change), JSON.stringify(change));
  }
  assert.ok(!isBytes({}, { ...SOURCE, height: 3 }));
});

test('layoutOf() keeps the channels of the source, and takes the middle of the mean image', () => {
  const grey = layoutOf(
    { ...SOURCE, channels: 1 },
    { ...OPTIONS, meanImage: true },
    SIZES,
    Float32Array.from({ length: 16 }, (_, i) => i),
  );
  assert.deepEqual([grey.channels, grey.normalization!.inputChannels], [1, 3]);
  assert.deepEqual(grey.normalization!.mean, Float32Array.of(5, 6, 9, 10));
});

test('createPaint() writes the levels of the window, mirrored or not, and its noise, scaled', () => {
  const options: ImageOptions = { ...OPTIONS, scale: [1, 2, 4], colourNoise: NOISE };
  const layout = layoutOf(SOURCE, options, SIZES);
  const views = slotViews(createSlot(layout), layout);
  const paint = createPaint(SOURCE, options, layout);
  const pixels = Uint8Array.from({ length: 1 + 48 }, (_, i) => i + 100);
  const noise = { added: [0.5, -1, 2], divisor: 1.25 } as const;
  paint(views, 1, pixels, 1, { ...centerCrop(4, 2), top: 1, left: 2, noise });
  paint(views, 0, pixels, 1, { ...centerCrop(4, 2), top: 0, left: 0, flip: true });
  const at = (y: number, x: number) => [0, 1, 2].map((c) => 101 + 12 * y + 3 * x + c);
  assert.deepEqual(
    [...views.images],
    [...[...at(0, 1), ...at(0, 0), ...at(1, 1), ...at(1, 0)], ...[...at(1, 2), ...at(1, 3), ...at(2, 2), ...at(2, 3)]],
  );
  assert.deepEqual([...views.noise!], [0, 0, 0, 1, 0.5, -2, 8, 1.25]);
});

test('createPaint() refuses settings that do not fit, for bytes too', () => {
  const refused = (options: ImageOptions) => () => createPaint(SOURCE, options, layoutOf(SOURCE, options, SIZES));
  assert.throws(refused({ ...OPTIONS, mean: [1] }), ConfigError);
  assert.throws(refused({ ...OPTIONS, scale: [1, 2] }), ConfigError);
});
