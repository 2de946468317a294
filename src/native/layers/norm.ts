/**
 * Local response norms, x / (k + alpha · Σ x²)^0.75 (paper §3.3), by TensorFlow's own ops; differentiable by tfjs's tape.
 *
 * With s = k + alpha · Σ x² and y = x / s^0.75, the gradient is dy / s^0.75 - x · 1.5 · alpha · Σ (dy · y / s): both sums
 * are over the same neighbours. float32, NHWC.
 */
import tf = require('@tensorflow/tfjs');

import { attr } from '../c/attributes.js';
import type { Save } from '../graph/tape.js';
import { canRun, differentiable, matMul, run, T, zeroPad } from './layer-ops.js';

type NormFactors = { k: number; alpha: number };

/**
 * Response norm across channels. TensorFlow's op computes a logarithm, an exponential and, in its gradient, a power of every
 * value; a product with a band matrix and two square roots are faster.
 * @param x [B, H, W, C]; @param radius neighbours on each side.
 */
export function channelNorm(x: tf.Tensor4D, radius: number, factors: NormFactors): tf.Tensor4D {
  const channels = x.shape[3];
  return norm(x, factors, (values, factor, plus) => {
    const band = bandMatrix(channels, radius, factor);
    const flat = tf.reshape(values, [-1, channels]); // [B·H·W, C]
    return tf.reshape(plus === 0 ? matMul(flat, band, false, false) : matMulPlus(flat, band, plus), x.shape);
  });
}

const FUSED = [
  ...[T, attr.bool('transpose_a', false), attr.bool('transpose_b', false), attr.int('num_args', 1)],
  ...[attr.string('fused_ops', ['BiasAdd']), attr.float('epsilon', 0)],
  attr.float('leakyrelu_alpha', 0),
];

/** a · b + plus, in one pass over memory if TensorFlow has an op for that. */
function matMulPlus(a: tf.Tensor, b: tf.Tensor, plus: number): tf.Tensor {
  const attempt = () => run('_FusedMatMul', [tf.ones([1, 1]), tf.ones([1, 1]), tf.ones([1])], FUSED);
  if (!canRun('matrix product with bias', attempt)) return tf.add(matMul(a, b, false, false), plus);
  return run('_FusedMatMul', [a, b, tf.fill([b.shape[1]!], plus)], FUSED);
}

/** [n, n]: `value` up to `radius` from the diagonal, zeros elsewhere. */
function bandMatrix(n: number, radius: number, value: number): tf.Tensor2D {
  const values = Float32Array.from({ length: n * n }, (_, i) =>
    Math.abs(Math.floor(i / n) - (i % n)) <= radius ? value : 0,
  );
  return tf.tensor2d(values, [n, n]);
}

/** Response norm within each map, over a window of `size` × `size` (odd), zeros around the map. @param x [B, H, W, C]. */
export function mapNorm(x: tf.Tensor4D, size: number, factors: NormFactors): tf.Tensor4D {
  return norm(x, factors, (values, factor, plus) => {
    const edge: [number, number] = [(size - 1) / 2, (size - 1) / 2];
    const padded = zeroPad(values as tf.Tensor4D, [[0, 0], edge, edge, [0, 0]]);
    const sums = tf.mul(tf.avgPool(padded, size, 1, 'valid'), size ** 2 * factor);
    return plus === 0 ? sums : tf.add(sums, plus);
  });
}

/** @param sum returns factor · Σ over each value's neighbours + plus. If a is a neighbour of b, b must be one of a. */
function norm(
  x: tf.Tensor4D,
  { k, alpha }: NormFactors,
  sum: (values: tf.Tensor, factor: number, plus: number) => tf.Tensor,
): tf.Tensor4D {
  const forward = (save: Save) => {
    const base = sum(run('Square', [x]), alpha, k);
    // Square roots and quotients are rounded correctly, TensorFlow's powers and inverse roots are not. A single division by
    // base^0.75 would make some different values equal, and a max pool would choose the wrong one of them.
    const root = run('Sqrt', [base]);
    const fourth = run('Sqrt', [root]);
    const y = run('RealDiv', [run('RealDiv', [x, root]), fourth]);
    save([x, y, base, root, fourth]);
    return y;
  };
  return differentiable([x], forward, (dy, [input, y, base, root, fourth]) => [
    () => {
      const power = tf.mul(root!, fourth!); // base^0.75
      const spread = sum(run('RealDiv', [tf.mul(dy, y!), base!]), 1.5 * alpha, 0);
      return tf.sub(run('RealDiv', [dy, power]), tf.mul(input!, spread));
    },
  ]) as tf.Tensor4D;
}
