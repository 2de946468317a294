/** The net's input from grey levels on a device, against the transform that computes it in double precision. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { createPaint } from '../../src/data/batches/paint.js';
import { createSlot, layoutOf, NOISE_VALUES, slotViews } from '../../src/data/batches/slots.js';
import { type Augmentation, centerCrop, createTransform, type ImageOptions } from '../../src/data/images/augment.js';
import { drawNoise, IMAGENET_COLOURS } from '../../src/data/images/colours.js';
import { useDevice } from '../../src/native/binding/backend.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { compile } from '../../src/native/graph/compile.js';
import { readBatch } from '../../src/tower/batch.js';
import { openNormalizer } from '../../src/tower/normalize.js';
import { ONLY } from '../../src/tower/replica.js';
import { PLAIN } from '../data/sets.js';

/** 256 pixels, so that each channel can have every level. */
const [RESIZE, SIZE, IMAGES] = [18, 16, 3];
const ULP_OF_255 = 2 ** -16;

interface Case extends Partial<ImageOptions> {
  /** Of the images; 3 by default. */
  source?: 1 | 3;
  /** 0: the same bits. */
  within: number;
}

const torchvision = [0.229, 0.224, 0.225].map((deviation) => 1 / (255 * deviation));
const noise: ImageOptions['colourNoise'] = { strength: 0.1, end: null, divide: true, colours: 'imagenet' };

const CASES: Record<string, Case> = {
  'levels as they are': { mean: [0, 0, 0], within: 0 },
  'a whole mean': { mean: [125, 123, 114], within: 0 },
  'a mean image': { mean: [0, 0, 0], meanImage: true, within: 0 },
  'a mean image, scaled': { mean: [0, 0, 0], meanImage: true, scale: 0.3, within: 5 * 0.3 * ULP_OF_255 },
  'a scale of 1/255': { mean: [0, 0, 0], scale: 1 / 255, within: 0 },
  'mean and deviation of Fashion-MNIST': { mean: [73, 73, 73], scale: 1 / 90, within: 0 },
  'scales of 1/3, 1/5 and 1/7': { mean: [1, 2, 3], scale: [1 / 3, 1 / 5, 1 / 7], within: 0 },
  'a mean that is not representable': { mean: [127.3, 119.72, 104.91], within: 2 * ULP_OF_255 },
  'the levels of torchvision': {
    ...{ mean: [123.675, 116.28, 103.53], scale: torchvision },
    within: 5 * ULP_OF_255 * Math.max(...torchvision),
  },
  // Less than 64 levels are added: that, the sum, the divisor, the quotient, and createTransform() round.
  'colour noise': { mean: [0, 0, 0], meanImage: true, colourNoise: noise, within: 4 * ULP_OF_255 },
  grey: { source: 1, mean: [73], scale: 1 / 90, within: 0 },
  'grey in three channels': { source: 1, mean: [73, 73, 73], scale: 1 / 90, within: 0 },
  'grey in three channels as they are': { source: 1, mean: [0, 0, 0], within: 0 },
  'grey in three channels with their own levels': { source: 1, mean: [1, 2, 3], scale: [1, 0.5, 0.25], within: 0 },
  'the mean image of grey in three channels': { source: 1, mean: [0, 0, 0], meanImage: true, within: 0 },
};

function random(values: Float32Array | Uint8Array, highest: number): typeof values {
  return values.map(() => highest * Math.random());
}

for (const [name, { source: channels = 3, within, ...own }] of Object.entries(CASES)) {
  test(`the input on a device is ${within === 0 ? 'bit for bit' : 'within the bound'} that of createTransform(): ${name}`, () => {
    const options: ImageOptions = { ...PLAIN, resize: RESIZE, scale: 1, ...own };
    const inputChannels = options.mean.length;
    const source = { height: RESIZE, width: RESIZE, channels };
    const imageSize = RESIZE * RESIZE * channels;
    const pixels = random(new Uint8Array(IMAGES * imageSize), 256) as Uint8Array;
    // The middle has every level in every channel.
    for (let y = 0; y < SIZE; y++) {
      for (let x = 0; x < SIZE * channels; x++) {
        pixels[((y + 1) * RESIZE + 1) * channels + x] = SIZE * y + Math.floor(x / channels);
      }
    }
    const meanImage = own.meanImage ? (random(new Float32Array(imageSize), 255) as Float32Array) : undefined;
    const layout = layoutOf(source, options, { batchSize: IMAGES, inputSize: SIZE, inputChannels }, meanImage);
    const slot = createSlot(layout, bytesToAlignment);
    const paint = createPaint(source, options, layout, meanImage);
    const transform = createTransform(source, options, SIZE, inputChannels, meanImage);
    const wanted = new Float32Array(IMAGES * SIZE * SIZE * inputChannels);
    const places = [
      [1, 1, false],
      [0, 2, true],
      [2, 0, false],
    ] as const;
    for (const [i, [top, left, flip]] of places.entries()) {
      const drawn = drawNoise(IMAGENET_COLOURS, options.colourNoise, 1, i, 0);
      const changes: Augmentation = { ...centerCrop(RESIZE, SIZE), top, left, flip, ...(drawn && { noise: drawn }) };
      paint(slotViews(slot, layout), i, pixels, i * imageSize, changes);
      transform(wanted, (i * wanted.length) / IMAGES, pixels, i * imageSize, changes);
    }
    useDevice('CPU:0');
    const before = tf.memory().numTensors;
    const normalizer = openNormalizer(layout)!;
    const batch = { slots: [slot], layout, replica: ONLY, part: 'whole', device: 'CPU:0' } as const;
    const {
      images,
      noise: row,
      labels,
    } = readBatch(batch, { slot: 0, count: IMAGES, step: 1 }, { isCopied: false, isTraining: true });
    assert.equal(row?.shape[1], options.colourNoise.strength > 0 ? NOISE_VALUES : undefined);
    const compiled = compile((levels, ...more) => [
      normalizer.apply(levels as tf.Tensor4D, more[0] as tf.Tensor2D | undefined),
    ]);
    const results = [normalizer.apply(images, row), compiled(images, ...(row ? [row] : []))[0]!];
    for (const result of results) {
      const found = result.dataSync();
      assert.deepEqual(result.shape, [IMAGES, SIZE, SIZE, inputChannels]);
      if (within === 0) assert.deepEqual(found, wanted);
      const farthest = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
      assert.ok(farthest <= within, `${farthest / ULP_OF_255} units of 255`);
    }
    assert.deepEqual(results[0]!.dataSync(), results[1]!.dataSync());
    tf.dispose([results, images, row ?? [], labels]);
    compiled.dispose();
    normalizer.dispose();
    assert.equal(tf.memory().numTensors, before);
  });
}
