/** Kernels of tfjs-node that gave wrong values without an error. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { compile, NativeError, useDevice } from '../../../src/native/index.js';

before(() => useDevice('CPU:1'));

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

function valuesOf(make: () => tf.Tensor): number[] {
  const tensor = tf.tidy(make);
  const values = Array.from(tensor.dataSync());
  tensor.dispose();
  return values;
}

describe('round()', () => {
  const WHOLE = [-12345678, -1, 0, 10, 2 ** 31 - 1, -(2 ** 31)];

  test('does not change integers', () => {
    assert.deepEqual(
      valuesOf(() => tf.round(tf.tensor1d(WHOLE, 'int32'))),
      WHOLE,
    );
  });

  test('does the same in a compiled function', () => {
    const round = compile((x) => [tf.add(tf.round(x), 1)]);
    assert.deepEqual(
      valuesOf(() => round(tf.tensor1d([-7, 5], 'int32'))[0]!),
      [-6, 6],
    );
    round.dispose();
  });
});

test('exp() of integers does not dispose of its input', () => {
  const x = tf.tensor1d([0, 1], 'int32');
  const [zero, one] = valuesOf(() => tf.exp(x));
  assert.ok(zero === 1 && Math.abs(one! - Math.E) < 1e-6, `${zero} ${one}`);
  assert.deepEqual(Array.from(x.dataSync()), [0, 1]);
  x.dispose();
});

test('a bool is 0 or 1, whatever bytes it is made from', () => {
  const bools = () => tf.tensor1d(new Uint8Array([2, 255, 0, 1]), 'bool');
  assert.deepEqual(
    valuesOf(() => tf.logicalNot(bools())),
    [0, 0, 1, 0],
  );
  assert.deepEqual(
    valuesOf(() => tf.add(tf.cast(bools(), 'int32'), 0)),
    [1, 1, 0, 1],
  );
});

describe('prelu()', () => {
  test('is x above 0 and alpha x below, in the whole range of float32', () => {
    const x = [inf, -inf, nan, 3e38, -3e38, 0, -2];
    assert.deepEqual(
      valuesOf(() => tf.prelu(tf.tensor1d(x), 0.5)),
      [inf, -inf, nan, Math.fround(3e38), Math.fround(-3e38) / 2, 0, -1],
    );
  });

  test('takes integers, and an alpha for each channel', () => {
    const prelu = () => tf.prelu(tf.tensor2d([[-4, -4], [8, -(2 ** 31)]], [2, 2], 'int32'), [0.25, 2]); // biome-ignore format: a matrix
    assert.deepEqual(valuesOf(prelu), [-1, -8, 8, -(2 ** 32)]);
  });

  test('refuses complex numbers', () => {
    const x = tf.complex([1], [2]);
    assert.throws(() => tf.prelu(x, 0.5), NativeError);
    x.dispose();
  });
});

describe('topk()', () => {
  test('puts NaN before all numbers, and loses no number', () => {
    const { values, indices } = tf.topk(tf.tensor2d([[85, nan, 39, 44, 60], [-inf, 1, inf, nan, 2]]), 3); // biome-ignore format: a matrix
    assert.deepEqual(Array.from(values.dataSync()), [nan, 85, 60, inf, nan, 2]);
    assert.deepEqual(Array.from(indices.dataSync()), [1, 0, 4, 2, 3, 4]);
    assert.deepEqual([values.shape, indices.shape, indices.dtype], [[2, 3], [2, 3], 'int32']); // biome-ignore format: one line
    tf.dispose([values, indices]);
  });

  test('does not depend on the position of a NaN', () => {
    for (let at = 0; at < 9; at++) {
      const row = [3, 8, 1, 7, 2, 6, 5, 4].toSpliced(at, 0, nan);
      assert.deepEqual(
        valuesOf(() => tf.topk(tf.tensor1d(row), 4).values),
        [nan, 8, 7, 6],
      );
    }
  });
});

describe('the gradient of a resizing is its adjoint: <resize x, dy> = <x, gradient>', () => {
  for (const resize of [tf.image.resizeBilinear, tf.image.resizeNearestNeighbor]) {
    for (const [corners, centres] of [
      [false, false],
      [true, false],
      [false, true],
    ]) {
      // biome-ignore format: a table
      test(`${resize.name} ${corners ? 'by corners' : centres ? 'by half pixels' : ''}`, () => {
        for (const size of [[7, 9], [2, 3], [1, 1]] as [number, number][]) { // biome-ignore format: a table
          const [forward, backward] = valuesOf(() => {
            const run = (x: tf.Tensor) => resize(x as tf.Tensor4D, size, corners, centres);
            const x = tf.sin(tf.range(0, 64)).reshape([2, 4, 4, 2]);
            const y = run(x);
            const dy = tf.cos(tf.range(0, y.size)).reshape(y.shape);
            return tf.stack([tf.sum(tf.mul(y, dy)), tf.sum(tf.mul(x, tf.grad(run)(x, dy)))]);
          });
          assert.ok(Math.abs(forward! - backward!) < 1e-5 * Math.max(1, Math.abs(forward!)), `${forward} ${backward}`);
        }
      });
    }
  }
});

test('a convolution of an empty batch has the right shape, and gradient 0', () => {
  tf.tidy(() => {
    const [x, x3] = [tf.zeros([0, 5, 6, 2]) as tf.Tensor4D, tf.zeros([0, 4, 4, 4, 2]) as tf.Tensor5D];
    const filter = tf.ones([3, 2, 2, 3]) as tf.Tensor4D;
    const fused = { x, filter, strides: 2, pad: 'valid', activation: 'relu' } as const;
    const made = {
      conv2d: tf.conv2d(x, filter, 2, 'valid'),
      depthwiseConv2d: tf.depthwiseConv2d(x, filter, 2, 'same'),
      conv3d: tf.conv3d(x3, tf.ones([2, 2, 2, 2, 3]) as tf.Tensor5D, 1, 'valid'),
      fusedConv2d: tf.fused.conv2d(fused),
      fusedDepthwiseConv2d: tf.fused.depthwiseConv2d(fused),
    };
    const shapes = Object.fromEntries(Object.entries(made).map(([name, { shape }]) => [name, shape.join()]));
    assert.deepEqual(shapes, {
      conv2d: '0,2,3,3',
      depthwiseConv2d: '0,3,3,6',
      conv3d: '0,3,3,3,3',
      fusedConv2d: '0,2,3,3',
      fusedDepthwiseConv2d: '0,2,3,6',
    });
    const [, gradient] = tf.grads((a, b) => tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, 2, 'valid'))([x, filter]);
    assert.deepEqual(gradient!.shape, filter.shape);
    assert.ok(gradient!.dataSync().every((value) => value === 0));
  });
});

test('a depthwise convolution in NCHW order is refused', () => {
  const run = () =>
    tf.tidy(() =>
      tf.depthwiseConv2d(
        tf.ones([1, 2, 2, 2]) as tf.Tensor4D,
        tf.ones([2, 1, 2, 1]) as tf.Tensor4D,
        1,
        'valid',
        'NCHW',
      ),
    );
  assert.throws(run, /only NHWC is supported; transpose them/);
});
