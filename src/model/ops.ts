/**
 * What the layers compute, by tfjs's own operations: the definition that faster implementations must match. Every function is
 * differentiable by tfjs's tape and returns a new tensor, for `tf.tidy` or the caller to dispose of.
 *
 * Legend: B batch; H, W height and width; C input channels; K kernels or units. float32 throughout.
 */
import tf = require('@tensorflow/tfjs');

import { type PlacedLayer, padding } from './net.js';

type Of<Kind extends PlacedLayer['kind']> = Extract<PlacedLayer, { kind: Kind }>;

export const TFJS_OPS = {
  /** @param x [B, H, W, C]; @param kernel [h, w, C, K]; @param bias [K]. @returns [B, H', W', K]. */
  conv(x: tf.Tensor4D, kernel: tf.Tensor4D, bias: tf.Tensor1D | undefined, layer: Of<'conv'>): tf.Tensor4D {
    const { input, mode } = padded(x, layer, tf.pad);
    const product = tf.conv2d(input, kernel, layer.stride, mode);
    return bias ? tf.add(product, bias) : product;
  },

  /** @param x [B, C]; @param kernel [C, K]; @param bias [K]. @returns [B, K]. */
  dense(x: tf.Tensor2D, kernel: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D {
    const product: tf.Tensor2D = tf.matMul(x, kernel);
    return bias ? tf.add(product, bias) : product;
  },

  activation(x: tf.Tensor, kind: Of<'activation'>['function']): tf.Tensor {
    return tf[kind](x);
  },

  /** [B, H, W, C] → [B, H', W', C]; only windows that fit whole. */
  pool(x: tf.Tensor4D, { op, size, stride }: Of<'pool'>): tf.Tensor4D {
    return op === 'max' ? tf.maxPool(x, size, stride, 'valid') : tf.avgPool(x, size, stride, 'valid');
  },

  /** Over neighbouring channels: x / (k + alpha · Σ x²)^beta (paper §3.3). */
  norm(x: tf.Tensor4D, { radius, k, alpha, beta }: Of<'norm'>): tf.Tensor4D {
    return tf.localResponseNormalization(x, radius, k, alpha, beta);
  },

  /** Over a window of the same map, with zeros around it: x / (k + alpha · Σ x²)^beta. */
  mapNorm(x: tf.Tensor4D, { size, k, alpha, beta }: Of<'mapNorm'>): tf.Tensor4D {
    const before = Math.floor((size - 1) / 2);
    const squares = tf.pad(tf.square(x), around(before, size - 1 - before));
    const sums = tf.mul(tf.avgPool(squares, size, 1, 'valid'), size ** 2);
    return tf.mul(x, tf.pow(tf.add(tf.mul(sums, alpha), k), -beta));
  },

  /** Mean over the batch. @param logits [B, K]; @param labels int32 [B]. */
  crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
    const chosen = tf.mul(tf.oneHot(labels, logits.shape[1]), tf.logSoftmax(logits));
    return tf.neg(tf.mean(tf.sum(chosen, 1)));
  },
};

/** The operations, in this implementation or another. */
export type Ops = typeof TFJS_OPS;

/**
 * Pads the input of a convolution with zeros, unless tfjs's `same` does: tfjs-node has no gradient for paddings in numbers,
 * and TensorFlow is slower with them.
 * @param pad as `tf.pad`.
 * @returns the input, and tfjs's padding mode for it.
 */
export function padded(
  x: tf.Tensor4D,
  layer: Of<'conv'>,
  pad: (x: tf.Tensor4D, paddings: [number, number][]) => tf.Tensor4D,
): { input: tf.Tensor4D; mode: 'same' | 'valid' } {
  const [before, after] = padding(layer, x.shape[1]);
  if (before + after === 0) return { input: x, mode: 'valid' };
  const isSame = layer.stride === 1 && before === after && before * 2 === layer.size - 1;
  return isSame ? { input: x, mode: 'same' } : { input: pad(x, around(before, after)), mode: 'valid' };
}

/** Paddings of [B, H, W, C], equal in both directions. */
function around(before: number, after: number): [number, number][] {
  const edge: [number, number] = [before, after];
  return [[0, 0], edge, edge, [0, 0]];
}
