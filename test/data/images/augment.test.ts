import assert from 'node:assert/strict';
import test from 'node:test';
import {
  centerCrop,
  changeColour,
  createTransform,
  drawAugmentation,
  type ImageOptions,
} from '../../../src/data/images/augment.js';
import { PLAIN } from '../sets.js';

const RANDOM: ImageOptions = {
  ...PLAIN,
  resize: 74,
  randomCrop: true,
  flip: true,
  brightness: 0.4,
  contrast: 0.2,
  saturation: 2,
};

function colours(values: readonly number[], channels: number, factors: object): number[] {
  const window = Float32Array.from(values);
  changeColour(window, channels, { ...centerCrop(1, 1), ...factors });
  return [...window];
}

function assertNear(actual: readonly number[], wanted: readonly number[]): void {
  assert.equal(actual.length, wanted.length);
  actual.forEach((value, i) => {
    assert.ok(Math.abs(value - wanted[i]!) < 1e-4, `${actual} is not ${wanted}`);
  });
}

test('centerCrop() returns the middle of an image, unchanged', () => {
  const still = { flip: false, brightness: 1, contrast: 1, saturation: 1 };
  assert.deepEqual(centerCrop(256, 224), { top: 16, left: 16, ...still });
  assert.deepEqual(centerCrop(74, 67), { top: 3, left: 3, ...still });
  assert.deepEqual(centerCrop(28, 28), { top: 0, left: 0, ...still });
});

test('drawAugmentation() without random settings equals centerCrop()', () => {
  for (let index = 0; index < 20; index++) {
    assert.deepEqual(drawAugmentation(PLAIN, 2, 1, index, 3), centerCrop(4, 2));
  }
});

test('drawAugmentation() is a function of seed, image and epoch', () => {
  const drawn = drawAugmentation(RANDOM, 67, 1, 5, 3);
  assert.deepEqual(drawAugmentation(RANDOM, 67, 1, 5, 3), drawn);
  for (const other of [
    drawAugmentation(RANDOM, 67, 2, 5, 3),
    drawAugmentation(RANDOM, 67, 1, 6, 3),
    drawAugmentation(RANDOM, 67, 1, 5, 4),
  ]) {
    assert.notDeepEqual(other, drawn);
  }
});

test('drawAugmentation() reaches every place of the window, both sides and the whole range of factors', () => {
  const draws = Array.from({ length: 4000 }, (_, index) => drawAugmentation(RANDOM, 67, 1, index, 0));
  for (const key of ['top', 'left'] as const) {
    const counts: number[] = Array(8).fill(0);
    for (const each of draws) counts[each[key]]!++;
    assert.equal(counts.length, 8); // none beyond 74 - 67
    // 500 are expected at each of 8 places; the standard deviation is 21.
    assert.ok(
      counts.every((count) => Math.abs(count - 500) < 105),
      `${key} ${counts}`,
    );
  }
  const flipped = draws.filter(({ flip }) => flip).length;
  assert.ok(Math.abs(flipped - 2000) < 160, `${flipped}`);
  assert.ok(draws.some(({ top, left }) => top !== left));
  for (const [key, least, most] of [
    ['brightness', 0.6, 1.4],
    ['contrast', 0.8, 1.2],
    ['saturation', 0, 3],
  ] as const) {
    const factors = draws.map((each) => each[key]);
    const [low, high, near] = [Math.min(...factors), Math.max(...factors), (most - least) / 100];
    assert.ok(low >= least && low < least + near && high <= most && high > most - near, `${key} ${low} ${high}`);
  }
});

test('changeColour() multiplies by the brightness, within 0 and 255', () => {
  assertNear(colours([100, 200, 50, 0], 1, { brightness: 1.5 }), [150, 255, 75, 0]);
});

test('changeColour() spreads about the mean grey by the contrast, within 0 and 255', () => {
  assertNear(colours([100, 200, 60, 0], 1, { contrast: 0.5 }), [95, 145, 75, 45]); // mean 90
  assertNear(colours([100, 200, 60, 0], 1, { contrast: 2 }), [110, 255, 30, 0]);
  // Greys 124.2 and 29.9: mean 77.05.
  assertNear(colours([200, 100, 50, 100, 0, 0], 3, { contrast: 0 }), Array(6).fill(77.05));
});

test("changeColour() spreads about the pixel's grey by the saturation", () => {
  assertNear(colours([200, 100, 50], 3, { saturation: 0.5 }), [162.1, 112.1, 87.1]); // grey 124.2
  assertNear(colours([200, 100, 50], 3, { saturation: 2 }), [255, 75.8, 0]);
  assertNear(colours([200, 100], 1, { saturation: 0 }), [200, 100]);
});

test('changeColour() applies brightness, contrast and saturation in this order', () => {
  // 200 100 50 -> 100 50 25 (grey 62.1) -> 137.9 37.9 0 (grey 63.4794) -> half way to it.
  const all = colours([200, 100, 50], 3, { brightness: 0.5, contrast: 2, saturation: 0.5 });
  assertNear(all, [100.6897, 50.6897, 31.7397]);
});

test('createTransform() subtracts the mean, scales, and repeats grey in every channel', () => {
  const pixels = Uint8Array.from([99, 10, 20, 30, 40]);
  const grey = { height: 2, width: 2, channels: 1 };
  const changes = centerCrop(2, 2);
  for (const mean of [[5], [5, 6], [5, 6, 7]]) {
    const channels = mean.length;
    const out = new Float32Array(2 + 4 * channels + 1).fill(-1);
    createTransform(grey, { ...PLAIN, resize: 2, mean, scale: 0.5 }, 2, channels)(out, 2, pixels, 1, changes);
    const wanted = [10, 20, 30, 40].flatMap((value) => mean.map((taken) => (value - taken) * 0.5));
    assert.deepEqual([...out], [-1, -1, ...wanted, -1]);
  }
});

test('createTransform() does not mix the channels of a colour image', () => {
  const out = new Float32Array(6);
  const options = { ...PLAIN, resize: 1, mean: [1, 2, 3], scale: 2 };
  const paint = createTransform({ height: 1, width: 1, channels: 3 }, options, 1, 3);
  paint(out, 3, Uint8Array.from([10, 20, 30]), 0, { ...centerCrop(1, 1), saturation: 0 });
  assertNear([...out], [0, 0, 0, 2 * (18.15 - 1), 2 * (18.15 - 2), 2 * (18.15 - 3)]);
});

test('createTransform() scales each channel by its own factor', () => {
  const options = { ...PLAIN, resize: 1, mean: [1, 2, 3], scale: [2, 10, 0.5] };
  const noise = { added: [4, 5, 6], divisor: 1 } as const;
  const paint = (pixels: number[], own: ImageOptions, changes: object, meanImage?: Float32Array) => {
    const size = { height: 1, width: 1, channels: pixels.length };
    const out = new Float32Array(3);
    createTransform(size, own, 1, 3, meanImage)(out, 0, Uint8Array.from(pixels), 0, {
      ...centerCrop(1, 1),
      ...changes,
    });
    return [...out];
  };
  const image = { ...options, meanImage: true };
  assert.deepEqual(paint([11, 22, 33], options, {}), [20, 200, 15]);
  assert.deepEqual(paint([11], options, {}), [20, 90, 4]);
  assert.deepEqual(paint([11, 22, 33], options, { noise }), [28, 250, 18]);
  assert.deepEqual(paint([11, 22, 33], image, {}, Float32Array.of(1, 2, 3)), [20, 200, 15]);
  assert.deepEqual(paint([11], image, {}, Float32Array.of(1)), [20, 100, 5]);
});

test('createTransform() refuses wrong sizes, channels and means', () => {
  const grey = { height: 2, width: 2, channels: 1 };
  const refused = (make: () => unknown, message: RegExp) => assert.throws(make, { name: 'ConfigError', message });
  refused(() => createTransform(grey, PLAIN, 5, 1), /data\.resize is 4, expected at least net\.inputSize, 5/);
  refused(() => createTransform(grey, PLAIN, 4, 3), /data\.mean has 1 grey levels, expected one for each of the 3/);
  refused(
    () => createTransform(grey, { ...PLAIN, scale: [1, 2] }, 4, 1),
    /data\.scale has 2 factors, expected one for/,
  );
  const options = { ...PLAIN, mean: [0] };
  refused(() => createTransform({ ...grey, channels: 3 }, options, 4, 1), /of 3 channels .* is 1, expected 3/);
});

test('drawAugmentation() draws crop and flip once for the images of a group, by their position in the order', () => {
  const grouped = { ...RANDOM, brightness: 0, contrast: 0, saturation: 0, cropGroup: 32 };
  const draws = Array.from({ length: 96 }, (_, place) => drawAugmentation(grouped, 67, 1, 1000 - 7 * place, 2, place));
  for (const [place, each] of draws.entries()) assert.deepEqual(each, draws[place - (place % 32)]);
  assert.equal(new Set(draws.map((each) => JSON.stringify(each))).size, 3);
});

test('createTransform() subtracts the middle of the mean image for every window and flip', () => {
  const options = { ...PLAIN, resize: 4, mean: [0, 0, 0], meanImage: true, scale: 2 };
  const pixels = Uint8Array.from({ length: 48 }, (_, i) => 100 + i);
  const meanImage = Float32Array.from({ length: 48 }, (_, i) => i / 2);
  const paint = createTransform({ height: 4, width: 4, channels: 3 }, options, 2, 3, meanImage);
  const middle = [15, 16, 17, 18, 19, 20, 27, 28, 29, 30, 31, 32];
  const out = new Float32Array(12);
  paint(out, 0, pixels, 0, { ...centerCrop(4, 2), top: 2, left: 0 });
  const corner = [24, 25, 26, 27, 28, 29, 36, 37, 38, 39, 40, 41];
  assert.deepEqual(
    [...out],
    corner.map((at, i) => 2 * (100 + at - middle[i]! / 2)),
  );
  paint(out, 0, pixels, 0, { ...centerCrop(4, 2), top: 2, left: 0, flip: true });
  const mirrored = [27, 28, 29, 24, 25, 26, 39, 40, 41, 36, 37, 38];
  assert.deepEqual(
    [...out],
    mirrored.map((at, i) => 2 * (100 + at - middle[i]! / 2)),
  );
});

test('createTransform() subtracts a grey mean image from every channel', () => {
  const options = { ...PLAIN, resize: 2, mean: [0, 0, 0], meanImage: true };
  const out = new Float32Array(12);
  const paint = createTransform({ height: 2, width: 2, channels: 1 }, options, 2, 3, Float32Array.of(1, 2, 3, 4));
  paint(out, 0, Uint8Array.of(11, 22, 33, 44), 0, centerCrop(2, 2));
  assert.deepEqual([...out], [10, 10, 10, 20, 20, 20, 30, 30, 30, 40, 40, 40]);
});

test('createTransform() adds noise after the mean, divides, then scales', () => {
  const options = { ...PLAIN, resize: 1, mean: [10, 20, 30], scale: 0.5 };
  const out = new Float32Array(3);
  const noise = { added: [5, -5, 0.5], divisor: 1.25 } as const;
  createTransform({ height: 1, width: 1, channels: 3 }, options, 1, 3)(out, 0, Uint8Array.of(100, 100, 100), 0, {
    ...centerCrop(1, 1),
    noise,
  });
  assert.deepEqual([...out], [(95 * 0.5) / 1.25, (75 * 0.5) / 1.25, Math.fround((70.5 * 0.5) / 1.25)]);
});

test('createTransform() refuses colour noise for a grey net', () => {
  const noisy = { ...PLAIN, colourNoise: { ...PLAIN.colourNoise, strength: 0.1 } };
  const grey = { height: 4, width: 4, channels: 1 };
  assert.throws(() => createTransform(grey, noisy, 4, 1), {
    name: 'ConfigError',
    message: /colourNoise\.strength is 0\.1/,
  });
});
