/**
 * Layers by TensorFlow's own ops, where tfjs chains several: one or two ops forward, and one for each gradient that is
 * asked for. All are differentiable by tfjs's tape; results are the caller's (or `tf.tidy`'s).
 *
 * Legend: B batch; H, W height and width; C input channels; K output channels. float32, NHWC.
 */
import tf = require('@tensorflow/tfjs');

import { currentBinding, runOp, withOwnBinding } from '../binding/backend.js';
import { attr, type OpAttr } from '../c/attributes.js';
import { DataType } from '../c/signatures.js';
import { runOnTape, type Save } from '../graph/tape.js';

export const T: OpAttr = attr.type('T', DataType.FLOAT);
export const NHWC: OpAttr = attr.string('data_format', 'NHWC');

/** Like {@link runOnTape}, with one result. */
export function differentiable(
  inputs: readonly tf.Tensor[],
  forward: (save: Save) => tf.Tensor,
  gradients: (dy: tf.Tensor, saved: readonly tf.Tensor[]) => readonly (() => tf.Tensor)[],
): tf.Tensor {
  const [result] = runOnTape(
    inputs,
    (save) => [forward(save)],
    ([dy], saved) => gradients(dy!, saved),
  );
  return result!;
}

export function run(op: string, inputs: tf.Tensor[], attrs: OpAttr[] = [T]): tf.Tensor {
  return runOp(op, inputs, attrs)[0]!;
}

/** Whether the thread's device runs what some builds of TensorFlow lack. @param attempt computes something by it. */
export function canRun(ability: string, attempt: () => tf.Tensor): boolean {
  return currentBinding().can(ability, () => {
    withOwnBinding(() => tf.tidy(() => void attempt().dataSync()));
  });
}

/** a · b over the last two axes, each transposed or not. */
export function matMul(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  const [op, nameA, nameB] =
    a.rank === 2 ? (['MatMul', 'transpose_a', 'transpose_b'] as const) : (['BatchMatMulV2', 'adj_x', 'adj_y'] as const);
  return run(op, [a, b], [T, attr.bool(nameA, transposeA), attr.bool(nameB, transposeB)]);
}

/**
 * A convolution. For other paddings, apply {@link zeroPad} first: on a CPU, TensorFlow's explicit paddings take 1.5 times
 * as long.
 * @param x [B, H, W, C]; @param kernel [h, w, C, K]; @param bias [K].
 * @returns [B, H', W', K].
 */
export function conv2dBias(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  bias: tf.Tensor1D | undefined,
  stride: number,
  padding: 'same' | 'valid',
): tf.Tensor4D {
  const dilations = attr.int('dilations', [1, 1, 1, 1]);
  const attrs = [...windowAttrs(stride, padding), dilations, attr.bool('use_cudnn_on_gpu', true)];
  const forward = (save: Save) => {
    const product = run('Conv2D', [x, kernel], attrs);
    save([x, kernel]);
    return addBias(product, bias);
  };
  return differentiable(bias ? [x, kernel, bias] : [x, kernel], forward, (dy, [input, filter]) => [
    () => run('Conv2DBackpropInput', [ints(input!.shape), filter!, dy], attrs),
    () => run('Conv2DBackpropFilter', [input!, ints(filter!.shape), dy], attrs),
    () => run('BiasAddGrad', [dy], [T, NHWC]),
  ]) as tf.Tensor4D;
}

/** x · kernel, plus the bias. @param x [B, in]; @param kernel [in, out]; @param bias [out]. @returns [B, out]. */
export function matMulBias(x: tf.Tensor2D, kernel: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D {
  const forward = (save: Save) => {
    const product = matMul(x, kernel, false, false);
    save([x, kernel]);
    return addBias(product, bias);
  };
  return differentiable(bias ? [x, kernel, bias] : [x, kernel], forward, (dy, [input, weights]) => [
    () => timesTransposed(dy, weights!),
    () => matMul(input!, dy, true, false),
    () => run('BiasAddGrad', [dy], [T, NHWC]),
  ]) as tf.Tensor2D;
}

function addBias(product: tf.Tensor, bias: tf.Tensor1D | undefined): tf.Tensor {
  return bias ? run('BiasAdd', [product, bias], [T, NHWC]) : product;
}

/** With fewer weights, the two transpositions cost more than they save. */
const LARGE = 2 ** 16;

/**
 * dy · weightsᵀ. On a CPU computed as (weights · dyᵀ)ᵀ, which reads the weights row by row and takes a third of the time;
 * the values are the same.
 */
function timesTransposed(dy: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  if (currentBinding().target.type !== 'CPU' || weights.size < LARGE) return matMul(dy, weights, false, true);
  return tf.transpose(matMul(weights, tf.transpose(dy), false, false));
}

const ACTIVATIONS = { relu: 'Relu', sigmoid: 'Sigmoid', tanh: 'Tanh' } as const;

export function activate(x: tf.Tensor, kind: keyof typeof ACTIVATIONS): tf.Tensor {
  const op = ACTIVATIONS[kind];
  const forward = (save: Save) => {
    const y = run(op, [x]);
    save([y]);
    return y;
  };
  return differentiable([x], forward, (dy, [y]) => [() => run(`${op}Grad`, kind === 'relu' ? [dy, y!] : [y!, dy])]);
}

/** oneDNN's ops in TensorFlow have this label, which TensorFlow's graph rewriting sets. */
const ONE_DNN = [attr.bool('workspace_enabled', true), attr.string('_kernel', 'MklNameChangeOp')];

/**
 * The maximum of each window that fits whole. Of equal values, the first one gets the gradient. Where TensorFlow has
 * oneDNN's op it is used, which keeps the place of each maximum, so that the gradient does not search for it again.
 * @param x [B, H, W, C].
 * @returns [B, H', W', C].
 */
export function maxPool(x: tf.Tensor4D, size: number, stride: number): tf.Tensor4D {
  if (!canRun('max pool by oneDNN', tryOneDnn)) return tf.maxPool(x, size, stride, 'valid');
  const attrs = poolAttrs(size, stride);
  const forward = (save: Save) => {
    const [pooled, places] = runOp('_MklNativeMaxPool', [x], attrs, 2);
    // TensorFlow copies the label to the input of a function that takes such a result, and has no kernel for that.
    const y = run('Identity', [pooled!]);
    save([x, y, run('Identity', [places!], [attr.type('T', DataType.UINT8)])]);
    return y;
  };
  return differentiable([x], forward, (dy, [input, y, places]) => [
    () => run('_MklNativeMaxPoolGrad', [input!, y!, dy, places!], attrs),
  ]) as tf.Tensor4D;
}

function poolAttrs(size: number, stride: number): OpAttr[] {
  return [...windowAttrs(stride, 'valid'), attr.int('ksize', [1, size, size, 1]), ...ONE_DNN];
}

function tryOneDnn(): tf.Tensor {
  const x = tf.zeros([1, 1, 1, 1]);
  const [y, places] = runOp('_MklNativeMaxPool', [x], poolAttrs(1, 1), 2);
  return run('_MklNativeMaxPoolGrad', [x, y!, x, places!], poolAttrs(1, 1));
}

/** Mean over the batch of the cross-entropy of softmax. @param logits [B, K]; @param labels int32 [B]. */
export function softmaxCrossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  const forward = (save: Save) => {
    const attrs = [T, attr.type('Tlabels', DataType.INT32)];
    const [losses, gradient] = runOp('SparseSoftmaxCrossEntropyWithLogits', [logits, labels], attrs, 2);
    const slope = tf.div(gradient!, logits.shape[0]);
    const loss = tf.mean(losses!);
    save([slope]);
    return loss;
  };
  return differentiable([logits], forward, (dy, [slope]) => [() => tf.mul(slope!, dy)]) as tf.Scalar;
}

/**
 * As `tf.pad` with zeros, by TensorFlow's op without a padding value: tfjs's op needs the value in host memory, so that a
 * GPU would fetch it for each call.
 * @param paddings zeros before and after, for each axis.
 */
export function zeroPad(x: tf.Tensor4D, paddings: readonly (readonly [number, number])[]): tf.Tensor4D {
  const types = (name: string) => [T, attr.type(name, DataType.INT32)];
  const forward = () => run('Pad', [x, tf.tensor2d(paddings.flat(), [x.rank, 2], 'int32')], types('Tpaddings'));
  return differentiable([x], forward, (dy) => [
    () => run('Slice', [dy, ints(paddings.map(([before]) => before)), ints(x.shape)], types('Index')),
  ]) as tf.Tensor4D;
}

/**
 * Half of the sum of the squares of all values: not finite if a value is not, or if the sum is too large for float32. Each
 * tensor is read once, by one op; vectors (biases) are concatenated first.
 */
export function halfSquares(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => {
    const vectors = tensors.filter(({ rank }) => rank === 1) as tf.Tensor1D[];
    const others = tensors.filter(({ rank }) => rank !== 1);
    const joined = vectors.length > 0 ? [tf.concat(vectors)] : [];
    if (tensors.length === 0) return tf.scalar(0);
    return tf.addN([...joined, ...others].map((tensor) => run('L2Loss', [tensor])));
  }) as tf.Scalar;
}

/**
 * Consecutive rows of a tensor [N, C].
 * @param begin int32 [2]: the first row, and 0. An input of a compiled function, unlike the place in `tf.slice`.
 */
export function rowsFrom(x: tf.Tensor, begin: tf.Tensor1D, rows: number): tf.Tensor {
  return tf.tidy(() => run('Slice', [x, begin, ints([rows, x.shape[1]!])], [T, attr.type('Index', DataType.INT32)]));
}

function windowAttrs(stride: number, padding: 'same' | 'valid'): OpAttr[] {
  const strides = attr.int('strides', [1, stride, stride, 1]);
  return [T, NHWC, strides, attr.string('padding', padding.toUpperCase())];
}

function ints(values: readonly number[]): tf.Tensor {
  return tf.tensor1d([...values], 'int32');
}
