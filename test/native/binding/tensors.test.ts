/** Tensors from memory and into memory, shared memory too. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../../src/errors.js';
import { currentBinding } from '../../../src/native/binding/backend.js';
import {
  copyTensor,
  copyTensorAsHalf,
  settle,
  tensorFrom,
  tensorFromHalf,
} from '../../../src/native/binding/tensors.js';
import { type Device, useDevice } from '../../../src/native/index.js';

before(() => useDevice('CPU:1'));

function assertInvalid(action: () => unknown, text: RegExp): void {
  assert.throws(action, (error: NativeError) => {
    assert.ok(error instanceof NativeError);
    assert.equal(error.code, 3);
    assert.match(error.message, text);
    return true;
  });
}

test('tensorFrom() copies shared memory before it returns', () => {
  const values = new Float32Array(new SharedArrayBuffer(40), 8, 6);
  values.set([1, 2, 3, 4, 5, 6]);
  const tensor = tensorFrom([2, 3], values);
  values.fill(9);
  assert.deepEqual([tensor.shape, tensor.dtype], [[2, 3], 'float32']);
  assert.deepEqual([...tensor.dataSync()], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...tf.tidy(() => tf.sum(tensor, 1).dataSync())], [6, 15]);
  tensor.dispose();
});

test('tensorFrom() makes int32 of an Int32Array, and tensors without values', () => {
  const [ints, none] = [tensorFrom([2], Int32Array.of(-1, 2 ** 31 - 1)), tensorFrom([0, 3], new Float32Array(0))];
  assert.deepEqual([ints.dtype, [...ints.dataSync()]], ['int32', [-1, 2 ** 31 - 1]]);
  assert.deepEqual([none.shape, none.dataSync().length], [[0, 3], 0]);
  tf.dispose([ints, none]);
});

test('tensorFrom() gives tensors that tf.tidy() disposes of', () => {
  const { numTensors } = tf.memory();
  const handles = currentBinding().getNumOfTensors();
  tf.tidy(() => {
    tensorFrom([1], Float32Array.of(1));
  });
  assert.deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [numTensors, handles]);
});

test('tensorFrom() refuses too few and too many values', () => {
  assertInvalid(() => tensorFrom([2, 2], new Float32Array(3)), /shape \[2,2\]: it holds 16 bytes, and 12 were given/);
  assertInvalid(() => tensorFrom([2], new Int32Array(3)), /it holds 8 bytes, and 12 were given/);
});

test('copyTensor() writes into the shared memory, and not around it', () => {
  const tensor = tf.tidy(() => tf.add(tf.tensor1d([1, 2, 3]), 0.5));
  const memory = new SharedArrayBuffer(24);
  copyTensor(tensor, new Uint8Array(memory, 8, 12));
  assert.deepEqual([...new Float32Array(memory)], [0, 0, 1.5, 2.5, 3.5, 0]);
  // A tensor whose values tfjs has not given to TensorFlow yet.
  const fresh = tf.tensor1d([7, 8, 9]);
  copyTensor(fresh, new Uint8Array(memory, 0, 12));
  assert.deepEqual([...new Float32Array(memory)], [7, 8, 9, 2.5, 3.5, 0]);
  tf.dispose([tensor, fresh]);
});

test('copyTensor() refuses memory of another length', () => {
  const tensor = tensorFrom([3], new Float32Array(3));
  assertInvalid(() => copyTensor(tensor, new Uint8Array(11)), /it has 12 bytes, and there is space for 11/);
  assertInvalid(() => copyTensor(tensor, new Uint8Array(16)), /it has 12 bytes, and there is space for 16/);
  tensor.dispose();
});

test('settle() leaves nothing behind, on a CPU and on a GPU', (t) => {
  const tensor = tensorFrom([2, 3], new Float32Array(6));
  const { numTensors } = tf.memory();
  const handles = currentBinding().getNumOfTensors();
  settle(tensor);
  // A tensor that a GPU would have: its device is asked for.
  const binding = currentBinding() as { target: Device };
  const { target } = binding;
  binding.target = { ...target, memory: 'gpu' };
  t.after(() => {
    binding.target = target;
  });
  const device = t.mock.method(currentBinding(), 'backingDevice', () => '/job:localhost/replica:0/task:0/device:GPU:0');
  settle(tensor);
  assert.equal(device.mock.callCount(), 1);
  assert.deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [numTensors, handles]);
  tensor.dispose();
});

test('copyTensorAsHalf() and tensorFromHalf() round to eleven bits, and keep shorter values', () => {
  const values = [1, -2.5, 1024.5, 65504, 6e-8, 0, Number.POSITIVE_INFINITY, 1 / 3];
  const bytes = new Uint8Array(new SharedArrayBuffer(2 * values.length));
  copyTensorAsHalf(tf.tensor1d(values), bytes);
  const back = [...tensorFromHalf([values.length], bytes).dataSync()];
  assert.deepEqual(back.slice(0, 2), [1, -2.5]);
  assert.deepEqual([back[3], back[5], back[6]], [65504, 0, Number.POSITIVE_INFINITY]);
  assert.ok(Math.abs(back[2]! - 1024.5) <= 0.5 && Math.abs(back[7]! - 1 / 3) < 2e-4 && back[4]! > 0);
});
