/**
 * What a net's layers compute. [B, H, W, C]: images, height, width, channels; float32 throughout. Every function returns
 * a new tensor, for `tf.tidy` or the caller to dispose of, and is differentiable by tfjs's tape.
 */
import tf = require('@tensorflow/tfjs');

import { type PlacedLayer, padding } from './net.js';

type Of<Kind extends PlacedLayer['kind']> = Extract<PlacedLayer, { kind: Kind }>;

/** The operations that can be had in more than one way. */
export interface Ops {
  /** A convolution, with bias when one is given. @param x [B, H, W, C]; @param kernel HWIO. */
  conv(x: tf.Tensor4D, kernel: tf.Tensor4D, bias: tf.Tensor1D | undefined, layer: Of<'conv'>): tf.Tensor4D;
  /** A product, with bias when one is given. @param x [B, in]; @param kernel [in, out]. */
  dense(x: tf.Tensor2D, kernel: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D;
  activation(x: tf.Tensor, kind: Of<'activation'>['function']): tf.Tensor;
  /** Windows that do not fit whole are left out. */
  pool(x: tf.Tensor4D, layer: Of<'pool'>): tf.Tensor4D;
  /** x / (k + alpha · Σ x²)^beta over neighbouring channels (paper §3.3). */
  norm(x: tf.Tensor4D, layer: Of<'norm'>): tf.Tensor4D;
  /** x / (k + alpha · Σ x²)^beta over a window of the same map, zeros around it. */
  mapNorm(x: tf.Tensor4D, layer: Of<'mapNorm'>): tf.Tensor4D;
  /** Mean cross-entropy over the batch, a scalar. @param logits [B, K]; @param labels int32 [B]. */
  crossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar;
}

const ACTIVATIONS = { relu: tf.relu, sigmoid: tf.sigmoid, tanh: tf.tanh } as const;

/** Everything by tfjs's own operations, on whatever backend. */
export const TFJS_OPS: Ops = {
  conv(x, kernel, bias, layer) {
    const { input, mode } = padded(x, layer, tf.pad);
    const product = tf.conv2d(input, kernel, layer.stride, mode);
    return bias ? tf.add(product, bias) : product;
  },
  dense(x, kernel, bias) {
    const product: tf.Tensor2D = tf.matMul(x, kernel);
    return bias ? tf.add(product, bias) : product;
  },
  activation: (x, kind) => ACTIVATIONS[kind](x),
  pool(x, { op, size, stride }) {
    return op === 'max' ? tf.maxPool(x, size, stride, 'valid') : tf.avgPool(x, size, stride, 'valid');
  },
  norm: (x, { radius, k, alpha, beta }) => tf.localResponseNormalization(x, radius, k, alpha, beta),
  mapNorm(x, { size, k, alpha, beta }) {
    const before = Math.floor((size - 1) / 2);
    const squares = tf.pad(tf.square(x), around(before, size - 1 - before));
    const sums = tf.mul(tf.avgPool(squares, size, 1, 'valid'), size ** 2);
    return tf.mul(x, tf.pow(tf.add(tf.mul(sums, alpha), k), -beta));
  },
  crossEntropy(logits, labels) {
    const chosen = tf.mul(tf.oneHot(labels, logits.shape[1]), tf.logSoftmax(logits));
    return tf.neg(tf.mean(tf.sum(chosen, 1)));
  },
};

/**
 * What a convolution reads, and how: `same` where that is the layer's padding, else zeros around it and `valid`.
 * tfjs-node has no gradient for a padding given in numbers, and TensorFlow is slower with one.
 * @param pad puts zeros before and after, along each axis.
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

/** Paddings of images, the same in both directions. */
function around(before: number, after: number): [number, number][] {
  return [
    [0, 0],
    [before, after],
    [before, after],
    [0, 0],
  ];
}
