/** Rows for ops that move elements, change their type, or work on images, spectra and strings. */
import tf = require('@tensorflow/tfjs');

import { bools, floatsOf, integers, intsOf, NO_GRADIENT, type Row, reals, row, stringsOf } from './ops-row.js';

const MATRIX = reals([3, 4]);

const SHAPES: Row[] = [
  row('reshape', [MATRIX], (x) => tf.reshape(x, [2, 6])),
  row('expandDims and squeeze', [MATRIX], (x) => [tf.expandDims(x, 1), tf.squeeze(tf.expandDims(x, 0))]),
  row('broadcastTo', [reals([3, 1])], (x) => tf.broadcastTo(x, [2, 3, 4])),
  row('tile', [MATRIX], (x) => tf.tile(x, [2, 3])),
  row('transpose', [reals([2, 3, 4])], (x) => tf.transpose(x, [2, 0, 1])),
  row('reverse', [reals([2, 3, 4])], (x) => tf.reverse(x, [0, 2])),
  row('concat', [reals([2, 3]), reals([2, 1]), reals([2, 2])], (...all) => tf.concat(all, 1)),
  row('concat of int32', [integers([2]), integers([3])], (...all) => tf.concat(all), NO_GRADIENT),
  row('split', [reals([2, 6])], (x) => tf.split(x, 3, 1)),
  row('split to sizes', [reals([2, 6])], (x) => tf.split(x, [1, 2, 3], 1)),
  row('stack', [reals([2, 3]), reals([2, 3])], (...all) => tf.stack(all, 1)),
  row('unstack', [reals([2, 3])], (x) => tf.unstack(x, 1)),
  row('slice', [reals([3, 4, 5])], (x) => tf.slice(x, [1, 0, 2], [2, 3, -1])),
  row('stridedSlice', [reals([4, 6])], (x) => tf.stridedSlice(x, [0, 5], [4, 0], [2, -2]), NO_GRADIENT),
  row(
    'stridedSlice, masks',
    [reals([4, 6])],
    (x) => tf.stridedSlice(x, [1, 1], [3, 3], [1, 1], 1, 2, 0, 0, 0),
    NO_GRADIENT,
  ),
  row('pad', [MATRIX], (x) => tf.pad(x, [[1, 2], [0, 1]], 0.5)), // biome-ignore format: pairs
  row('mirrorPad, reflect', [MATRIX], (x) => tf.mirrorPad(x, [[1, 1], [2, 0]], 'reflect'), NO_GRADIENT), // biome-ignore format: pairs
  row('mirrorPad, symmetric', [MATRIX], (x) => tf.mirrorPad(x, [[1, 1], [0, 2]], 'symmetric'), NO_GRADIENT), // biome-ignore format: pairs
  row('spaceToBatchND', [reals([1, 4, 4, 2])], (x) => tf.spaceToBatchND(x, [2, 2], [[0, 0], [0, 0]])), // biome-ignore format: pairs
  row('batchToSpaceND', [reals([4, 2, 2, 2])], (x) => tf.batchToSpaceND(x, [2, 2], [[0, 0], [0, 0]])), // biome-ignore format: pairs
  row('depthToSpace', [reals([1, 2, 2, 8])], (x: tf.Tensor4D) => tf.depthToSpace(x, 2, 'NHWC'), NO_GRADIENT),
];

const INDICES: Row[] = [
  row('gather', [reals([4, 3]), intsOf([3, 0, 0])], (x, at) => tf.gather(x, at)),
  row('gather, axis 1', [reals([2, 4, 3]), intsOf([3, 1], [1, 2])], (x, at) => tf.gather(x, at, 1)),
  row('gatherND', [reals([3, 4]), intsOf([0, 1, 2, 3], [2, 2])], (x, at) => tf.gatherND(x, at), NO_GRADIENT),
  row('scatterND', [intsOf([1, 3], [2, 1]), reals([2, 3])], (at, x) => tf.scatterND(at, x, [5, 3]), NO_GRADIENT),
  row(
    'tensorScatterUpdate',
    [reals([4]), intsOf([2, 0], [2, 1]), reals([2])],
    (x, at, updates) => tf.tensorScatterUpdate(x, at, updates),
    NO_GRADIENT,
  ),
  row('oneHot', [intsOf([0, 2, 3, 1])], (x) => tf.oneHot(x, 4, 0.9, 0.1), NO_GRADIENT),
  row('topk', [reals([3, 6])], (x) => Object.values(tf.topk(x, 3)), NO_GRADIENT),
  row('unsortedSegmentSum', [reals([4, 3]), intsOf([1, 0, 1, 2])], (x, ids: tf.Tensor1D) =>
    tf.unsortedSegmentSum(x, ids, 3),
  ),
  row('unique', [intsOf([4, 1, 4, 2, 1])], (x) => Object.values(tf.unique(x)), NO_GRADIENT),
  row('bincount', [intsOf([1, 1, 3, 0]), floatsOf([])], (x: tf.Tensor1D, w: tf.Tensor1D) => tf.bincount(x, w, 5), {
    ...NO_GRADIENT,
  }),
  row(
    'sparseToDense',
    [intsOf([0, 3]), floatsOf([5, 6])],
    (at, values) => tf.sparseToDense(at, values, [5], 1),
    NO_GRADIENT,
  ),
  row('range', [], () => [tf.range(0, 10, 3), tf.range(3, 0, -1, 'int32')], NO_GRADIENT),
  row('linspace', [], () => tf.linspace(0, 1, 5), { ...NO_GRADIENT, isOnHost: true }),
  row('fill', [], () => [tf.fill([2, 2], 3), tf.fill([2], 3, 'int32'), tf.zeros([0, 3])], NO_GRADIENT),
];

const LINEAR_ALGEBRA: Row[] = [
  row('diag', [reals([3])], (x) => tf.diag(x), NO_GRADIENT),
  row('eye', [], () => tf.eye(3, 4), NO_GRADIENT),
  row('linalg.bandPart', [reals([4, 4])], (x) => tf.linalg.bandPart(x, 1, 0), {
    ...NO_GRADIENT,
    note: "tfjs's gradient fails in stack",
  }),
  row('linalg.gramSchmidt', [reals([3, 3])], (x: tf.Tensor2D) => tf.linalg.gramSchmidt(x), {
    ...NO_GRADIENT,
    tolerance: 1e-4,
  }),
  row('linalg.qr', [reals([4, 3])], (x) => tf.linalg.qr(x), { ...NO_GRADIENT, tolerance: 1e-4 }),
];

const IMAGES: Row[] = [
  row('resizeBilinear', [reals([2, 4, 4, 3])], (x: tf.Tensor4D) => tf.image.resizeBilinear(x, [7, 5])),
  row('resizeBilinear, corners', [reals([2, 4, 4, 3])], (x: tf.Tensor4D) => tf.image.resizeBilinear(x, [7, 5], true)),
  row(
    'resizeBilinear, half-pixel centers',
    [reals([2, 4, 4, 3])],
    (x: tf.Tensor4D) => tf.image.resizeBilinear(x, [7, 5], false, true),
    NO_GRADIENT,
  ),
  row('resizeNearestNeighbor', [reals([2, 4, 4, 3])], (x: tf.Tensor4D) => tf.image.resizeNearestNeighbor(x, [8, 6]), {
    isLinear: true,
    note: "tfjs's plain gradient is wrong from the second image of a batch on",
  }),
  row(
    'cropAndResize',
    [reals([2, 5, 5, 3]), floatsOf([0, 0, 0.5, 0.5, 0.2, 0.1, 0.9, 1], [2, 4]), intsOf([1, 0])],
    (x: tf.Tensor4D, boxes: tf.Tensor2D, at: tf.Tensor1D) => tf.image.cropAndResize(x, boxes, at, [3, 3]),
    NO_GRADIENT,
  ),
  row('flipLeftRight', [reals([2, 3, 4, 1])], (x: tf.Tensor4D) => tf.image.flipLeftRight(x), NO_GRADIENT),
  row(
    'nonMaxSuppression',
    [floatsOf([0, 0, 1, 1, 0, 0.1, 1, 1.1, 2, 2, 3, 3], [3, 4]), floatsOf([0.9, 0.8, 0.7])],
    (boxes: tf.Tensor2D, scores: tf.Tensor1D) => tf.image.nonMaxSuppression(boxes, scores, 3, 0.5),
    NO_GRADIENT,
  ),
];

const TYPES: Row[] = [
  row('cast float32 to int32', [reals([8])], (x) => tf.cast(x, 'int32'), NO_GRADIENT),
  row('cast float32 to bool', [floatsOf([0, -1, 0.5])], (x) => tf.cast(x, 'bool'), NO_GRADIENT),
  row('cast int32 to float32', [integers([8])], (x) => tf.cast(x, 'float32'), NO_GRADIENT),
  row('cast int32 to bool', [intsOf([0, 2, -1])], (x) => tf.cast(x, 'bool'), NO_GRADIENT),
  row('cast bool to int32', [bools([8])], (x) => tf.cast(x, 'int32'), NO_GRADIENT),
  row('cast bool to float32', [bools([8])], (x) => tf.cast(x, 'float32'), NO_GRADIENT),
  row('cast float32 to complex64', [reals([4])], (x) => tf.cast(x, 'complex64'), NO_GRADIENT),
  row('complex, real and imag', [reals([4]), reals([4])], parts, NO_GRADIENT),
  row('abs of complex64', [reals([4]), reals([4])], (re, im) => tf.abs(tf.complex(re, im)), NO_GRADIENT),
  row('mul of complex64', [reals([4]), reals([4])], squared, NO_GRADIENT),
  row('fft', [reals([2, 8]), reals([2, 8])], (re, im) => tf.spectral.fft(tf.complex(re, im)), NO_GRADIENT),
  row('ifft', [reals([2, 8]), reals([2, 8])], (re, im) => tf.spectral.ifft(tf.complex(re, im)), NO_GRADIENT),
  row('rfft', [reals([2, 8])], (x) => tf.spectral.rfft(x), NO_GRADIENT),
  row('irfft', [reals([2, 5]), reals([2, 5])], (re, im) => tf.spectral.irfft(tf.complex(re, im)), NO_GRADIENT),
  row('strings there and back', [stringsOf(['', 'a', 'naïve ☃', 'x'.repeat(100)], [2, 2])], there, NO_GRADIENT),
  row('concat of strings', [stringsOf(['a', 'b']), stringsOf(['c'])], (...all) => tf.concat(all), NO_GRADIENT),
  row('stack of strings', [stringsOf(['a', 'b', 'c', 'd'])], (x) => tf.stack([x, x]), NO_GRADIENT),
  row('equal of strings', [stringsOf(['a', 'b']), stringsOf(['a', 'c'])], tf.equal, NO_GRADIENT),
  row(
    'strings.staticRegexReplace',
    [stringsOf(['this is', 'it'])],
    (x) => tf.string.staticRegexReplace(x, 'i(.)', '<i>'),
    NO_GRADIENT,
  ),
];

/** The strings as they are, and after an op. */
function there(x: tf.Tensor): tf.Tensor[] {
  return [x, tf.expandDims(x, 1), tf.reshape(x, [4]), tf.concat([x, x])];
}

function parts(re: tf.Tensor, im: tf.Tensor): tf.Tensor[] {
  const both = tf.complex(re, im);
  return [both, tf.real(both), tf.imag(both)];
}

function squared(re: tf.Tensor, im: tf.Tensor): tf.Tensor {
  const both = tf.complex(re, im);
  return tf.mul(both, both);
}

export const ARRAYS: Row[] = [...SHAPES, ...INDICES, ...LINEAR_ALGEBRA, ...IMAGES, ...TYPES];
