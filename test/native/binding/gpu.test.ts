/** Checks that need a GPU. They are skipped without one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { backingDevice, listDevices, useDevice } from '../../../src/native/index.js';

const gpus = listDevices().filter(({ type }) => type === 'GPU');
const skip = gpus.length === 0 && 'TensorFlow sees no GPU here';

test('useDevice() keeps tensors and results on the GPU', { skip }, () => {
  useDevice('GPU:0');
  const made = tf.tidy(() => ({ x: tf.tensor2d([[1, 2], [3, 4]]), axes: tf.tensor1d([1], 'int32') })); // biome-ignore format: a matrix
  const product = tf.matMul(made.x, made.x);
  assert.match(backingDevice(made.x), /GPU:0$/);
  assert.match(backingDevice(product), /GPU:0$/);
  assert.match(backingDevice(made.axes), /CPU:0$/); // int32 stays with the host
  assert.deepEqual(Array.from(product.dataSync()), [7, 10, 15, 22]);
  tf.dispose([made, product]);
});

test('a convolution and its gradient run on the GPU', { skip }, () => {
  useDevice('GPU:0');
  const gradient = tf.tidy(() =>
    tf.grad((x: tf.Tensor) => tf.sum(tf.conv2d(x as tf.Tensor4D, tf.ones([3, 3, 2, 4]), 1, 'same')))(
      tf.ones([1, 5, 5, 2]),
    ),
  );
  assert.match(backingDevice(gradient), /GPU:0$/);
  assert.deepEqual([gradient.dataSync()[0], gradient.dataSync()[24]], [16, 36]);
  gradient.dispose();
});

test('findDevice() finds every GPU of the driver', { skip }, () => {
  assert.deepEqual(
    gpus.map(({ name }) => name),
    gpus.map((_, i) => `GPU:${i}`),
  );
});
