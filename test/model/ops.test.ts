/** Compares each operation with loops in plain JavaScript, and its gradients with finite differences. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import type { PlacedLayer } from '../../src/model/net.js';
import { TFJS_OPS } from '../../src/model/ops.js';

type Of<Kind extends PlacedLayer['kind']> = Extract<PlacedLayer, { kind: Kind }>;
type Numbers = readonly number[];

before(() => tf.setBackend('cpu'));

/** Numbers between -1 and 1 without a pattern that a sum would cancel. */
function numbers(count: number, phase = 0): number[] {
  return Array.from({ length: count }, (_, i) => Math.sin(12.9898 * i + phase) * Math.cos(0.7 * i));
}

function assertClose(found: ArrayLike<number>, expected: Numbers, tolerance: number): void {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(
      Math.abs(found[i]! - value) <= tolerance * Math.max(1, Math.abs(value)),
      `[${i}]: ${found[i]}, not ${value}`,
    );
  });
}

/** Gradient of Σ weight · f(x), by central differences. */
function slopes(f: (x: Numbers) => number[], x: Numbers, weights: Numbers): number[] {
  const total = (at: Numbers) => f(at).reduce((sum, value, i) => sum + value * weights[i]!, 0);
  return x.map((_, i) => {
    const moved = (by: number) => total(x.map((value, j) => (j === i ? value + by : value)));
    return (moved(1e-5) - moved(-1e-5)) / 2e-5;
  });
}

/** Gradient of Σ weight · f(x), by the tape. */
function gradient(f: (x: tf.Tensor) => tf.Tensor, x: tf.Tensor, weights: Numbers): Float32Array {
  const g = tf.grad((at) => {
    const y = f(at);
    return tf.sum(tf.mul(y, tf.tensor([...weights], y.shape)));
  });
  return g(x).dataSync() as Float32Array;
}

interface ConvCase {
  input: number;
  size: number;
  stride: number;
  pad: number | 'ceil';
  /** Zero rows before and after. */
  zeros: [number, number];
}

/** A convolution of [2, S, S, 2] with [K, K, 2, 3]. */
function naiveConv(x: Numbers, kernel: Numbers, bias: Numbers, { input, size, stride, zeros }: ConvCase): number[] {
  const output = Math.floor((input + zeros[0] + zeros[1] - size) / stride) + 1;
  const y: number[] = [];
  for (let n = 0; n < 2; n++)
    for (let row = 0; row < output; row++)
      for (let column = 0; column < output; column++)
        for (let o = 0; o < 3; o++) {
          let sum = bias[o]!;
          for (let i = 0; i < size; i++)
            for (let j = 0; j < size; j++) {
              const [r, c] = [row * stride + i - zeros[0], column * stride + j - zeros[0]];
              if (r < 0 || c < 0 || r >= input || c >= input) continue;
              for (let k = 0; k < 2; k++) {
                sum += x[((n * input + r) * input + c) * 2 + k]! * kernel[((i * size + j) * 2 + k) * 3 + o]!;
              }
            }
          y.push(sum);
        }
  return y;
}

const CONVS: [string, ConvCase][] = [
  ['ceil, no zeros needed', { input: 7, size: 3, stride: 4, pad: 'ceil', zeros: [0, 0] }],
  ['ceil, one row of zeros', { input: 10, size: 3, stride: 4, pad: 'ceil', zeros: [0, 1] }],
  ['ceil, two rows of zeros', { input: 9, size: 3, stride: 4, pad: 'ceil', zeros: [0, 2] }],
  ['ceil, three rows of zeros', { input: 8, size: 3, stride: 4, pad: 'ceil', zeros: [0, 3] }],
  ['same', { input: 5, size: 5, stride: 1, pad: 2, zeros: [2, 2] }],
  ['same, window larger than the map', { input: 2, size: 5, stride: 1, pad: 2, zeros: [2, 2] }],
  ['no pad', { input: 6, size: 3, stride: 1, pad: 0, zeros: [0, 0] }],
  ['no pad, windows that leave rows out', { input: 8, size: 3, stride: 4, pad: 0, zeros: [0, 0] }],
  ['pad with a stride', { input: 6, size: 3, stride: 2, pad: 1, zeros: [1, 1] }],
  ['pad larger than same', { input: 4, size: 3, stride: 1, pad: 2, zeros: [2, 2] }],
  ['window of one', { input: 3, size: 1, stride: 1, pad: 0, zeros: [0, 0] }],
];

for (const [what, each] of CONVS) {
  test(`conv() ${what}: values and gradients`, () => {
    const { input, size, stride, pad } = each;
    const [x, kernel, bias] = [numbers(4 * input ** 2), numbers(size ** 2 * 6, 1), [0.5, -1, 2]];
    const layer = { kind: 'conv', size, stride, pad } as Of<'conv'>;
    const tensors: tf.Tensor[] = [
      tf.tensor4d(x, [2, input, input, 2]),
      tf.tensor4d(kernel, [size, size, 2, 3]),
      tf.tensor1d(bias),
    ];
    const conv = (...xs: tf.Tensor[]) =>
      TFJS_OPS.conv(xs[0] as tf.Tensor4D, xs[1] as tf.Tensor4D, xs[2] as tf.Tensor1D, layer);
    const naive = (...xs: Numbers[]) => naiveConv(xs[0]!, xs[1]!, xs[2]!, each);
    const expected = naive(x, kernel, bias);
    assertClose(conv(...tensors).dataSync(), expected, 1e-5);
    const weights = numbers(expected.length, 2);
    const values = [x, kernel, bias];
    for (const [i, value] of values.entries()) {
      assertClose(
        gradient((at) => conv(...tensors.with(i, at)), tensors[i]!, weights),
        slopes((at) => naive(...values.with(i, [...at])), value, weights),
        1e-4,
      );
    }
  });
}

test('dense() is x · kernel + bias', () => {
  const y = TFJS_OPS.dense(
    tf.tensor2d([1, 2, 3, 4], [2, 2]),
    tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]),
    tf.tensor1d([10, 20, 30]),
  );
  assert.deepEqual(y.shape, [2, 3]);
  assert.deepEqual([...y.dataSync()], [19, 32, 45, 29, 46, 63]);
});

test('activation() relu, sigmoid, tanh', () => {
  const x = [-800, -1, 0, 0.5, 800];
  const y = (kind: 'relu' | 'sigmoid' | 'tanh') => TFJS_OPS.activation(tf.tensor1d(x), kind).dataSync();
  assertClose(y('relu'), [0, 0, 0, 0.5, 800], 0);
  assertClose(
    y('sigmoid'),
    x.map((each) => 1 / (1 + Math.exp(-each))),
    1e-6,
  );
  assertClose(y('tanh'), x.map(Math.tanh), 1e-6);
});

/** Pooling of [1, S, S, 2]. */
function naivePool(x: Numbers, input: number, size: number, stride: number, op: 'max' | 'average'): number[] {
  const output = Math.floor((input - size) / stride) + 1;
  const y: number[] = [];
  for (let row = 0; row < output; row++)
    for (let column = 0; column < output; column++)
      for (let k = 0; k < 2; k++) {
        const window: number[] = [];
        for (let i = 0; i < size; i++)
          for (let j = 0; j < size; j++) window.push(x[((row * stride + i) * input + column * stride + j) * 2 + k]!);
        y.push(op === 'max' ? Math.max(...window) : window.reduce((sum, each) => sum + each) / size ** 2);
      }
  return y;
}

test('pool() leaves out windows that do not fit completely: values and gradients', () => {
  for (const input of [7, 8, 9]) {
    for (const op of ['max', 'average'] as const) {
      const x = numbers(input ** 2 * 2);
      const layer = { kind: 'pool', name: 'pool', op, size: 3, stride: 2 } as Of<'pool'>;
      const f = (at: tf.Tensor) => TFJS_OPS.pool(at as tf.Tensor4D, layer);
      const tensor = tf.tensor4d(x, [1, input, input, 2]);
      const expected = naivePool(x, input, 3, 2, op);
      const y = f(tensor);
      assert.equal(y.shape[1], input === 9 ? 4 : 3);
      assertClose(y.dataSync(), expected, 1e-6);
      const weights = numbers(expected.length, 3);
      assertClose(
        gradient(f, tensor, weights),
        slopes((at) => naivePool(at, input, 3, 2, op), x, weights),
        1e-4,
      );
    }
  }
});

test('norm() sums over neighbouring channels, over fewer at the borders: values and gradients', () => {
  const channels = 7;
  for (const { radius, k, alpha, beta } of [
    { radius: 2, k: 2, alpha: 0.3, beta: 0.75 },
    { radius: 1, k: 1, alpha: 2, beta: 0.5 },
    { radius: 9, k: 2, alpha: 0.3, beta: 0.75 },
  ]) {
    const naive = (x: Numbers) =>
      x.map((value, at) => {
        const [pixel, channel] = [Math.floor(at / channels) * channels, at % channels];
        let sum = 0;
        for (let c = Math.max(0, channel - radius); c <= Math.min(channels - 1, channel + radius); c++) {
          sum += x[pixel + c]! ** 2;
        }
        return value / (k + alpha * sum) ** beta;
      });
    const x = numbers(4 * channels).map((each) => each * 3);
    const f = (at: tf.Tensor) =>
      TFJS_OPS.norm(at as tf.Tensor4D, { kind: 'norm', radius, k, alpha, beta } as Of<'norm'>);
    const tensor = tf.tensor4d(x, [1, 2, 2, channels]);
    assertClose(f(tensor).dataSync(), naive(x), 1e-5);
    const weights = numbers(x.length, 4);
    assertClose(gradient(f, tensor, weights), slopes(naive, x, weights), 1e-4);
  }
});

test('mapNorm() sums over a window of the same map, with zeros around it: values and gradients', () => {
  const [side, channels] = [6, 2];
  for (const { size, k, alpha, beta } of [
    { size: 5, k: 1, alpha: 0.1, beta: 0.75 },
    { size: 3, k: 2, alpha: 0.5, beta: 1 },
  ]) {
    const reach = (size - 1) / 2;
    const naive = (x: Numbers) =>
      x.map((value, at) => {
        const [row, column, channel] = [
          Math.floor(at / channels / side),
          Math.floor(at / channels) % side,
          at % channels,
        ];
        let sum = 0;
        for (let r = Math.max(0, row - reach); r <= Math.min(side - 1, row + reach); r++)
          for (let c = Math.max(0, column - reach); c <= Math.min(side - 1, column + reach); c++)
            sum += x[(r * side + c) * channels + channel]! ** 2;
        return value / (k + alpha * sum) ** beta;
      });
    const x = numbers(side ** 2 * channels).map((each) => each * 2);
    const layer = { kind: 'mapNorm', size, k, alpha, beta } as Of<'mapNorm'>;
    const f = (at: tf.Tensor) => TFJS_OPS.mapNorm(at as tf.Tensor4D, layer);
    const tensor = tf.tensor4d(x, [1, side, side, channels]);
    assertClose(f(tensor).dataSync(), naive(x), 1e-5);
    const weights = numbers(x.length, 5);
    assertClose(gradient(f, tensor, weights), slopes(naive, x, weights), 1e-4);
  }
});

/** Mean cross-entropy of [B, 3]. */
function naiveCrossEntropy(logits: Numbers, labels: Numbers): number[] {
  const losses = labels.map((label, row) => {
    const scores = logits.slice(row * 3, row * 3 + 3);
    const largest = Math.max(...scores);
    return largest + Math.log(scores.reduce((sum, each) => sum + Math.exp(each - largest), 0)) - scores[label]!;
  });
  return [losses.reduce((sum, each) => sum + each) / labels.length];
}

test('crossEntropy() is the mean over the batch, also of large logits: values and gradients', () => {
  const labels = [0, 1, 2, 2];
  for (const logits of [
    [0, 0, 0, 1, -2, 0.5, 3, 2, 1, -1, -1, 4],
    [1000, 0, -1000, 1000, 0, -1000, 1000, 0, -1000, -90, -100, -95],
  ]) {
    const f = (at: tf.Tensor) => TFJS_OPS.crossEntropy(at as tf.Tensor2D, tf.tensor1d(labels, 'int32'));
    const tensor = tf.tensor2d(logits, [4, 3]);
    assert.deepEqual(f(tensor).shape, []);
    assertClose(f(tensor).dataSync(), naiveCrossEntropy(logits, labels), 1e-6);
    assertClose(
      gradient(f, tensor, [1]),
      slopes((at) => naiveCrossEntropy(at, labels), logits, [1]),
      1e-4,
    );
  }
});

test('crossEntropy() is NaN if a logit is NaN', () => {
  const loss = TFJS_OPS.crossEntropy(tf.tensor2d([Number.NaN, 1, 1, 1], [2, 2]), tf.tensor1d([1, 0], 'int32'));
  assert.ok(Number.isNaN(loss.dataSync()[0]));
});
