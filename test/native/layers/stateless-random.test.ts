import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { useDevice } from '../../../src/native/index.js';
import { statelessNormal, statelessUniform } from '../../../src/native/layers/stateless-random.js';

const COUNT = 100_000;
const LARGEST = 2 ** 31 - 1;

/** The numbers of a generator on a device. */
function drawn(
  device: string,
  generator: typeof statelessNormal,
  seed: [number, number],
  shape = [COUNT],
): Float32Array {
  useDevice(device);
  const tensor = generator(shape, seed);
  assert.deepEqual([tensor.shape, tensor.dtype], [shape, 'float32']);
  const values = tensor.dataSync() as Float32Array;
  tensor.dispose();
  return values;
}

function momentsOf(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(variance) };
}

for (const generator of [statelessNormal, statelessUniform]) {
  test(`${generator.name}() is the same on every device, and differs for every seed`, () => {
    const first = drawn('CPU:0', generator, [1, LARGEST]);
    assert.deepEqual(drawn('CPU:1', generator, [1, LARGEST]), first);
    assert.deepEqual(drawn('CPU:0', generator, [1, LARGEST]), first);
    assert.notDeepEqual(drawn('CPU:0', generator, [2, LARGEST]), first);
    assert.notDeepEqual(drawn('CPU:0', generator, [1, LARGEST - 1]), first);
  });

  test(`${generator.name}() accepts any shape, and leaks no tensors`, () => {
    useDevice('CPU:0');
    const { numTensors } = tf.memory();
    assert.equal(drawn('CPU:0', generator, [0, 0], []).length, 1);
    assert.equal(drawn('CPU:0', generator, [0, 0], [2, 0]).length, 0);
    assert.equal(drawn('CPU:0', generator, [0, 0], [3, 3, 2, 4]).length, 72);
    assert.equal(tf.memory().numTensors, numTensors);
  });
}

// Bounds of five standard errors of 100,000 draws.
test('statelessNormal() has mean 0 and deviation 1', () => {
  const { mean, deviation } = momentsOf(drawn('CPU:0', statelessNormal, [3, 4]));
  assert.ok(Math.abs(mean) < 5 / Math.sqrt(COUNT), String(mean));
  assert.ok(Math.abs(deviation - 1) < 5 / Math.sqrt(2 * COUNT), String(deviation));
});

test('statelessUniform() is spread from 0 to below 1', () => {
  const values = drawn('CPU:0', statelessUniform, [3, 4]);
  assert.ok(values.every((each) => each >= 0 && each < 1));
  const { mean, deviation } = momentsOf(values);
  assert.ok(Math.abs(mean - 0.5) < 5 * Math.sqrt(1 / 12 / COUNT), String(mean));
  assert.ok(Math.abs(deviation - Math.sqrt(1 / 12)) < 0.002, String(deviation));
});
