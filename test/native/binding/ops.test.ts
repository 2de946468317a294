/** tfjs's ops on the pinned binding against tfjs's backend in plain JavaScript: values, shapes, types and gradients. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { backingDevice, useDevice } from '../../../src/native/index.js';
import type { Input, Output, Row } from './ops-row.js';
import { OPS } from './ops-table.js';

/** test/fake-gpu runs this file in a process with other devices. */
const DEVICE = process.env.TEST_DEVICE ?? 'CPU:1';

/** A tensor's values in JavaScript, from either backend. */
interface Result {
  what: string;
  shape: number[];
  dtype: string;
  values: (number | string)[];
}

before(() => {
  tf.env().set('PROD', true); // otherwise tfjs's plain backend recommends another one on stderr
  useDevice(DEVICE);
});

describe('ops on the pinned backend equal those in plain JavaScript', () => {
  for (const row of OPS) {
    test(row.name, () => {
      const expected = on('cpu', () => results(row));
      const actual = on('tensorflow', () => results(row));
      assert.equal(actual.length, expected.length);
      for (const [i, each] of actual.entries()) assertClose(each, expected[i]!, row.tolerance);
    });
  }
});

test('the table of ops has its rows, with unique names', () => {
  assert.equal(new Set(OPS.map(({ name }) => name)).size, OPS.length);
  assert.ok(OPS.length >= 200, `${OPS.length} rows`);
  const gradients = OPS.filter(({ hasGradient }) => hasGradient).length;
  assert.ok(gradients >= 120, `${gradients} rows with a gradient`);
});

/** Runs `action` on a backend, and asserts that it leaves no tensor behind. */
function on<T>(backend: string, action: () => T): T {
  tf.setBackend(backend);
  const before = tf.memory().numTensors;
  const result = tf.tidy(action as () => tf.TensorContainer) as T;
  assert.equal(tf.memory().numTensors, before, `${backend} left tensors behind`);
  return result;
}

/** The row's outputs, then the gradients of the sum of all outputs times fixed weights for each float32 input. */
function results(row: Row): Result[] {
  const inputs = row.inputs.map(tensorOf);
  const outputs = listOf(row.run(...inputs));
  if (tf.getBackend() === 'tensorflow') for (const each of outputs) assertPinned(each, row);
  const read = outputs.map((each, i) => resultOf(`output ${i}`, each));
  return row.hasGradient ? [...read, ...gradients(row, inputs)] : read;
}

function gradients(row: Row, inputs: tf.Tensor[]): Result[] {
  const places = inputs.flatMap(({ dtype }, i) => (dtype === 'float32' ? [i] : []));
  const weighted = (...floats: tf.Tensor[]) => {
    const all = inputs.map((each, i) => (places.includes(i) ? floats[places.indexOf(i)]! : each));
    const terms = listOf(row.run(...all)).map((each) => tf.sum(tf.mul(each, weightsFor(each))));
    return terms.length === 1 ? (terms[0] as tf.Scalar) : (tf.addN(terms) as tf.Scalar);
  };
  const floats = places.map((i) => inputs[i]!);
  const slopes = row.isLinear && tf.getBackend() === 'cpu' ? linearGradients : tf.grads;
  const found = slopes(weighted)(floats);
  return found.map((each, i) => resultOf(`gradient to input ${places[i]}`, each));
}

/** Like `tf.grads` of a linear function: its results for each unit vector. */
function linearGradients(linear: (...inputs: tf.Tensor[]) => tf.Scalar): (inputs: tf.Tensor[]) => tf.Tensor[] {
  return (inputs) =>
    inputs.map((input, i) => {
      const slopes = Array.from({ length: input.size }, (_, at) => {
        const unit = tf.reshape(tf.oneHot(tf.scalar(at, 'int32'), input.size, 1, 0, 'float32'), input.shape);
        return linear(...inputs.map((each, j) => (j === i ? unit : tf.zerosLike(each)))).dataSync()[0]!;
      });
      return tf.tensor(slopes, input.shape);
    });
}

function weightsFor({ size, shape }: tf.Tensor): tf.Tensor {
  return tf.tensor(
    Array.from({ length: size }, (_, i) => Math.cos(i + 1)),
    shape,
  );
}

function tensorOf({ values, shape, dtype }: Input): tf.Tensor {
  return tf.tensor(values, shape, dtype);
}

function listOf(output: Output): tf.Tensor[] {
  return Array.isArray(output) ? output : [output];
}

function resultOf(what: string, tensor: tf.Tensor): Result {
  return { what, shape: tensor.shape, dtype: tensor.dtype, values: Array.from<number | string>(tensor.dataSync()) };
}

/**
 * Not for int32 and strings: with any device they may be in host memory, which TensorFlow calls `CPU:0`, and so may the
 * results that a GPU makes only from them.
 */
function assertPinned(tensor: tf.Tensor, { isOnHost, inputs }: Row): void {
  if (tensor.size === 0 || isHostType(tensor.dtype)) return;
  if (DEVICE.startsWith('GPU') && inputs.every(({ dtype }) => isHostType(dtype))) return;
  assert.ok(backingDevice(tensor).endsWith(isOnHost ? 'CPU:0' : DEVICE), backingDevice(tensor));
}

function isHostType(dtype: string): boolean {
  return dtype === 'int32' || dtype === 'string';
}

function assertClose(actual: Result, expected: Result, tolerance: number): void {
  const { what } = expected;
  assert.deepEqual([what, actual.shape, actual.dtype], [what, expected.shape, expected.dtype]);
  assert.equal(actual.values.length, expected.values.length, what);
  const numbers = expected.values.filter((each): each is number => typeof each === 'number' && Number.isFinite(each));
  const bound = expected.dtype === 'float32' || expected.dtype === 'complex64' ? tolerance : 0;
  const scale = Math.max(1, ...numbers.map(Math.abs));
  for (const [i, value] of actual.values.entries()) {
    const wanted = expected.values[i]!;
    if (Object.is(value, wanted) || value === wanted) continue;
    const difference = Math.abs(Number(value) - Number(wanted)) / scale;
    assert.ok(difference <= bound, `${what}, element ${i}: ${value}, expected ${wanted} (${difference} > ${bound})`);
  }
}
