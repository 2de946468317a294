import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ColourNoise,
  drawNoise,
  IMAGENET_COLOURS,
  principalComponents,
} from '../../../src/data/images/colours.js';

const NOISE: ColourNoise = { strength: 0.1, end: 68, divide: true, colours: 'imagenet' };

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

test("ImageNet's components are unit vectors at right angles", () => {
  const { directions } = IMAGENET_COLOURS;
  for (const [i, a] of directions.entries()) {
    for (const [j, b] of directions.entries()) assert.ok(Math.abs(dot(a, b) - (i === j ? 1 : 0)) < 1e-3, `${i} ${j}`);
  }
});

test('drawNoise() has a tenth of the standard deviation along each component, a mean of 0, and no correlation', () => {
  const count = 20_000;
  const along = Array.from({ length: count }, (_, index) => {
    const { added } = drawNoise(IMAGENET_COLOURS, NOISE, 7, index, 3)!;
    return IMAGENET_COLOURS.directions.map((direction) => dot(direction, added));
  });
  for (const [k, deviation] of IMAGENET_COLOURS.deviations.entries()) {
    const wanted = 0.1 * deviation;
    const mean = along.reduce((sum, each) => sum + each[k]!, 0) / count;
    const found = Math.sqrt(along.reduce((sum, each) => sum + each[k]! ** 2, 0) / count);
    // The standard error of the deviation is 0.5 %, of the mean 0.7 % of the deviation.
    assert.ok(Math.abs(found / wanted - 1) < 0.02, `component ${k}: ${found}, not ${wanted}`);
    assert.ok(Math.abs(mean) < 0.03 * wanted, `component ${k}: mean ${mean}`);
    const next = (k + 1) % 3;
    const together = along.reduce((sum, each) => sum + each[k]! * each[next]!, 0) / count;
    assert.ok(Math.abs(together) < 0.03 * wanted * 0.1 * IMAGENET_COLOURS.deviations[next]!);
  }
});

test('drawNoise() is a function of seed, image and epoch', () => {
  const drawn = drawNoise(IMAGENET_COLOURS, NOISE, 1, 5, 3);
  assert.deepEqual(drawNoise(IMAGENET_COLOURS, NOISE, 1, 5, 3), drawn);
  for (const [seed, index, epoch] of [
    [2, 5, 3],
    [1, 6, 3],
    [1, 5, 4],
  ] as const) {
    assert.notDeepEqual(drawNoise(IMAGENET_COLOURS, NOISE, seed, index, epoch), drawn);
  }
});

test('drawNoise() stops at epoch `end`, and so does the division', () => {
  // `end` counts epochs from 1, the argument from 0.
  assert.equal(drawNoise(IMAGENET_COLOURS, NOISE, 1, 5, 66)!.divisor, 1.1);
  assert.equal(drawNoise(IMAGENET_COLOURS, NOISE, 1, 5, 67), undefined);
  assert.equal(drawNoise(IMAGENET_COLOURS, NOISE, 1, 5, 500), undefined);
  assert.notEqual(drawNoise(IMAGENET_COLOURS, { ...NOISE, end: null }, 1, 5, 500), undefined);
  assert.equal(drawNoise(IMAGENET_COLOURS, { ...NOISE, divide: false }, 1, 5, 0)!.divisor, 1);
  assert.equal(drawNoise(IMAGENET_COLOURS, { ...NOISE, strength: 0 }, 1, 5, 0), undefined);
});

test('principalComponents() finds the components from which a covariance was made', () => {
  const { deviations, directions } = IMAGENET_COLOURS;
  const covariance = [0, 1, 2].map((i) =>
    [0, 1, 2].map((j) => directions.reduce((sum, each, k) => sum + deviations[k]! ** 2 * each[i]! * each[j]!, 0)),
  );
  const found = principalComponents(covariance);
  for (const k of [0, 1, 2] as const) {
    assert.ok(Math.abs(found.deviations[k] / deviations[k] - 1) < 1e-3, `${found.deviations}`);
    assert.ok(Math.abs(Math.abs(dot(found.directions[k], directions[k])) - 1) < 1e-3);
  }
});

test('principalComponents() accepts singular covariances: one colour, grey only, separate channels', () => {
  assert.deepEqual(principalComponents([0, 1, 2].map(() => [0, 0, 0])).deviations, [0, 0, 0]);
  const grey = principalComponents([0, 1, 2].map(() => [4, 4, 4]));
  assert.ok(Math.abs(grey.deviations[2] - Math.sqrt(12)) < 1e-9 && grey.deviations[1] < 1e-6);
  for (const part of grey.directions[2]) assert.ok(Math.abs(part - 1 / Math.sqrt(3)) < 1e-9);
  assert.deepEqual(
    principalComponents([
      [9, 0, 0],
      [0, 1, 0],
      [0, 0, 4],
    ]),
    {
      deviations: [1, 2, 3],
      directions: [
        [0, 1, 0],
        [0, 0, 1],
        [1, 0, 0],
      ],
    },
  );
});
