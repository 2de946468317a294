/** Rows for the ops that nets are made of: products, convolutions, pooling, normalization, losses, reductions. */
import tf = require('@tensorflow/tfjs');

import { bools, integers, NO_GRADIENT, type Row, reals, row } from './ops-row.js';

const IMAGE = reals([2, 7, 7, 4]);
const KERNEL = reals([3, 3, 4, 5], -0.5, 0.5);
const PADS: [number, number][] = [[0, 0], [1, 2], [2, 1], [0, 0]]; // biome-ignore format: pairs
const VOLUME = reals([1, 4, 4, 4, 2]);

const PRODUCTS: Row[] = [
  row('matMul', [reals([3, 4]), reals([4, 5])], (a, b) => tf.matMul(a, b)),
  row('matMul, first transposed', [reals([4, 3]), reals([4, 5])], (a, b) => tf.matMul(a, b, true)),
  row('matMul, second transposed', [reals([3, 4]), reals([5, 4])], (a, b) => tf.matMul(a, b, false, true)),
  row('matMul, both transposed', [reals([4, 3]), reals([5, 4])], (a, b) => tf.matMul(a, b, true, true)),
  row('matMul, batch', [reals([2, 3, 4]), reals([2, 4, 5])], (a, b) => tf.matMul(a, b)),
  row('matMul, batch, broadcast', [reals([2, 3, 4]), reals([1, 4, 5])], (a, b) => tf.matMul(a, b), {
    ...NO_GRADIENT,
    note: "tfjs's gradient to a broadcast input has the output's shape, and fails",
  }),
  row('dot of vectors', [reals([4]), reals([4])], tf.dot),
  row('outerProduct', [reals([3]), reals([4])], (a: tf.Tensor1D, b: tf.Tensor1D) => tf.outerProduct(a, b)),
  row('einsum', [reals([2, 3, 4]), reals([2, 4, 5])], (a, b) => tf.einsum('bij,bjk->bik', a, b), NO_GRADIENT),
  row('einsum, sum over all but one', [reals([3, 4]), reals([4])], (a, b) => tf.einsum('ij,j->i', a, b), NO_GRADIENT),
  row('fused.matMul', [reals([3, 4]), reals([4, 5]), reals([5])], (a, b, bias) =>
    tf.fused.matMul({ a, b, bias, activation: 'relu' }),
  ),
];

const CONVOLUTIONS: Row[] = [
  row('conv1d', [reals([2, 8, 3]), reals([3, 3, 4])], (x: tf.Tensor3D, k: tf.Tensor3D) => tf.conv1d(x, k, 2, 'same')),
  row('conv2d, valid', [IMAGE, KERNEL], (x: tf.Tensor4D, k: tf.Tensor4D) => tf.conv2d(x, k, 1, 'valid')),
  row('conv2d, same, stride 2', [IMAGE, KERNEL], (x: tf.Tensor4D, k: tf.Tensor4D) => tf.conv2d(x, k, 2, 'same')),
  row('conv2d, two strides', [IMAGE, KERNEL], (x: tf.Tensor4D, k: tf.Tensor4D) => tf.conv2d(x, k, [2, 1], 'valid')),
  row(
    'conv2d, padded by 1 and 2',
    [IMAGE, KERNEL],
    (x: tf.Tensor4D, k: tf.Tensor4D) => tf.conv2d(tf.pad(x, PADS) as tf.Tensor4D, k, 1, 'valid'),
    { note: "tfjs-node's kernels know the pads same and valid alone, so a number is refused" },
  ),
  row(
    'conv2d, dilation 2',
    [IMAGE, KERNEL],
    (x: tf.Tensor4D, k: tf.Tensor4D) => tf.conv2d(x, k, 1, 'valid', 'NHWC', 2),
    { ...NO_GRADIENT, note: 'tfjs has no gradient of a dilated convolution' },
  ),
  row('conv2d, kernel of 1', [IMAGE, reals([1, 1, 4, 6])], (x: tf.Tensor4D, k: tf.Tensor4D) =>
    tf.conv2d(x, k, 1, 'same'),
  ),
  row('conv2dTranspose', [reals([2, 3, 3, 4]), reals([3, 3, 5, 4])], (x: tf.Tensor4D, k: tf.Tensor4D) =>
    tf.conv2dTranspose(x, k, [2, 7, 7, 5], 2, 'valid'),
  ),
  row('conv3d', [VOLUME, reals([2, 2, 2, 2, 3])], (x: tf.Tensor5D, k: tf.Tensor5D) => tf.conv3d(x, k, 1, 'same')),
  row('depthwiseConv2d', [IMAGE, reals([3, 3, 4, 2])], (x: tf.Tensor4D, k: tf.Tensor4D) =>
    tf.depthwiseConv2d(x, k, 1, 'same'),
  ),
  row(
    'separableConv2d',
    [IMAGE, reals([3, 3, 4, 1]), reals([1, 1, 4, 6])],
    (x: tf.Tensor4D, depth: tf.Tensor4D, point: tf.Tensor4D) => tf.separableConv2d(x, depth, point, 2, 'valid'),
  ),
  row('fused.conv2d', [IMAGE, KERNEL, reals([5])], (x: tf.Tensor4D, filter: tf.Tensor4D, bias) =>
    tf.fused.conv2d({ x, filter, bias, strides: 1, pad: 'same', activation: 'relu' }),
  ),
  row('dilation2d', [IMAGE, reals([2, 2, 4])], (x: tf.Tensor4D, k: tf.Tensor3D) => tf.dilation2d(x, k, 1, 'same')),
];

const POOLING: Row[] = [
  row('maxPool', [reals([2, 6, 6, 3])], (x: tf.Tensor4D) => tf.maxPool(x, 2, 2, 'valid')),
  row('maxPool, overlapping', [IMAGE], (x: tf.Tensor4D) => tf.maxPool(x, 3, 2, 'valid')),
  row('maxPool, same', [IMAGE], (x: tf.Tensor4D) => tf.maxPool(x, 3, 2, 'same')),
  row('avgPool', [reals([2, 6, 6, 3])], (x: tf.Tensor4D) => tf.avgPool(x, 2, 2, 'valid')),
  row('avgPool, same, overlapping', [IMAGE], (x: tf.Tensor4D) => tf.avgPool(x, 3, 2, 'same'), {
    isLinear: true,
    note: "at the edges tfjs's plain gradient divides by the whole window, unlike its forward pass",
  }),
  row('maxPool3d', [VOLUME], (x: tf.Tensor5D) => tf.maxPool3d(x, 2, 2, 'valid')),
  row('avgPool3d', [VOLUME], (x: tf.Tensor5D) => tf.avgPool3d(x, 2, 2, 'valid')),
];

const NORMALIZATION: Row[] = [
  row('localResponseNormalization', [reals([2, 3, 3, 8])], (x: tf.Tensor4D) =>
    tf.localResponseNormalization(x, 2, 2, 0.1, 0.75),
  ),
  row(
    'batchNorm',
    [IMAGE, reals([4]), reals([4], 0.5, 2), reals([4]), reals([4], 0.5, 2)],
    (x: tf.Tensor4D, mean: tf.Tensor1D, variance: tf.Tensor1D, offset: tf.Tensor1D, scale: tf.Tensor1D) =>
      tf.batchNorm(x, mean, variance, offset, scale, 1e-3),
  ),
  row('moments', [IMAGE], (x) => Object.values(tf.moments(x, [0, 1, 2]))),
  row('softmax', [reals([3, 5])], (x) => tf.softmax(x)),
  row('logSoftmax', [reals([3, 5])], (x) => tf.logSoftmax(x)),
  row('logSumExp', [reals([3, 5])], (x) => tf.logSumExp(x, 1)),
  row('norm', [reals([3, 5])], (x) => tf.norm(x)),
  row(
    'losses.softmaxCrossEntropy',
    [reals([3, 5], 0, 1), reals([3, 5])],
    (labels, logits) => tf.losses.softmaxCrossEntropy(tf.oneHot(tf.argMax(labels, 1), 5), logits),
    NO_GRADIENT,
  ),
  row('gradient of losses.softmaxCrossEntropy', [reals([3, 5])], (logits) =>
    tf.losses.softmaxCrossEntropy(tf.oneHot([1, 0, 4], 5), logits),
  ),
  row('losses.huberLoss', [reals([6]), reals([6])], (labels, x) => tf.losses.huberLoss(labels, x)),
];

const REDUCTIONS: Row[] = [
  row('sum', [reals([2, 3, 4])], (x) => tf.sum(x)),
  row('sum over axes', [reals([2, 3, 4])], (x) => tf.sum(x, [0, 2])),
  row('sum, keepDims', [reals([2, 3, 4])], (x) => tf.sum(x, -1, true)),
  row('sum of int32', [integers([2, 3])], (x) => tf.sum(x, 0), NO_GRADIENT),
  row('sum of bool', [bools([2, 3])], (x) => tf.sum(x, 1), NO_GRADIENT),
  row('mean', [reals([2, 3, 4])], (x) => tf.mean(x)),
  row('mean over axes, keepDims', [reals([2, 3, 4])], (x) => tf.mean(x, [1, 2], true)),
  row('prod', [reals([2, 3], 0.5, 2)], (x) => tf.prod(x, 1)),
  row('max', [reals([2, 3, 4])], (x) => tf.max(x, 1)),
  row('min, keepDims', [reals([2, 3, 4])], (x) => tf.min(x, [0, 1], true)),
  row('all', [bools([3, 4])], (x) => tf.all(x, 1), NO_GRADIENT),
  row('any', [bools([3, 4])], (x) => tf.any(x, 1), NO_GRADIENT),
  row('argMax', [reals([3, 5])], (x) => tf.argMax(x, 1), NO_GRADIENT),
  row('argMin', [reals([3, 5])], (x) => tf.argMin(x, 0), NO_GRADIENT),
  row('cumsum', [reals([3, 5])], (x) => tf.cumsum(x, 1)),
  row('cumsum, exclusive, reverse', [reals([3, 5])], (x) => tf.cumsum(x, 1, true, true)),
  row('cumsum over the first axis', [reals([3, 5])], (x) => tf.cumsum(x, 0), {
    ...NO_GRADIENT,
    note: "tfjs's gradient over an axis that is not the last has the wrong shape, and fails",
  }),
  row('cumprod', [reals([3, 5], 0.5, 2)], (x) => tf.cumprod(x, 1), NO_GRADIENT),
];

export const NETS: Row[] = [...PRODUCTS, ...CONVOLUTIONS, ...POOLING, ...NORMALIZATION, ...REDUCTIONS];
