/**
 * Layers by TensorFlow's own ops, where tfjs makes chains of several: one op or two forward, and one for the gradient of
 * each input, run only when that gradient is asked for. All are differentiable by tfjs's tape; results are the caller's
 * (or `tf.tidy`'s). float32, NHWC.
 */
import * as tf from '@tensorflow/tfjs';
import type { OpAttr } from './attributes.js';
import { runOp } from './backend.js';
import { AttrType, DataType } from './signatures.js';
import { runOnTape } from './tape.js';

const T: OpAttr = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
const NHWC: OpAttr = { name: 'data_format', type: AttrType.STRING, value: 'NHWC' };

/** One gradient for each input, made when it is asked for. */
type Gradients = readonly (() => tf.Tensor)[];

/**
 * A convolution with bias. Other paddings are a `tf.pad` before it: on a CPU TensorFlow takes half as long again for the
 * same padding given in numbers.
 * @param x [B, H, W, C]; @param kernel HWIO; @param bias [O].
 * @returns [B, H', W', O].
 */
export function conv2dBias(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  bias: tf.Tensor1D,
  stride: number,
  padding: 'same' | 'valid',
): tf.Tensor4D {
  const attrs = [
    T,
    NHWC,
    { name: 'strides', type: AttrType.INT, value: [1, stride, stride, 1] },
    { name: 'padding', type: AttrType.STRING, value: padding.toUpperCase() },
    { name: 'dilations', type: AttrType.INT, value: [1, 1, 1, 1] },
    { name: 'use_cudnn_on_gpu', type: AttrType.BOOL, value: true },
  ];
  const forward = () => addBias(run('Conv2D', [x, kernel], attrs), bias);
  return differentiable([x, kernel, bias], forward, [x, kernel], (dy, [input, filter]) => [
    () => run('Conv2DBackpropInput', [sizes(input!.shape), filter!, dy], attrs),
    () => run('Conv2DBackpropFilter', [input!, sizes(filter!.shape), dy], attrs),
    () => run('BiasAddGrad', [dy], [T, NHWC]),
  ]) as tf.Tensor4D;
}

/** x · kernel + bias. @param x [B, in]; @param kernel [in, out]; @param bias [out]. */
export function matMulBias(x: tf.Tensor2D, kernel: tf.Tensor2D, bias: tf.Tensor1D): tf.Tensor2D {
  const forward = () => addBias(matMul(x, kernel, false, false), bias);
  return differentiable([x, kernel, bias], forward, [x, kernel], (dy, [input, weights]) => [
    () => matMul(dy, weights!, false, true),
    () => matMul(input!, dy, true, false),
    () => run('BiasAddGrad', [dy], [T, NHWC]),
  ]) as tf.Tensor2D;
}

const ACTIVATIONS = {
  relu: ['Relu', 'ReluGrad'],
  sigmoid: ['Sigmoid', 'SigmoidGrad'],
  tanh: ['Tanh', 'TanhGrad'],
} as const;

/** An activation; its gradient is one op of its result. */
export function activate(x: tf.Tensor, kind: keyof typeof ACTIVATIONS): tf.Tensor {
  const [op, gradient] = ACTIVATIONS[kind];
  const y = differentiable(
    [x],
    () => run(op, [x]),
    'result',
    (dy, [result]) => [() => run(gradient, kind === 'relu' ? [dy, result!] : [result!, dy])],
  );
  return y;
}

/** Mean over the batch of the cross-entropy of softmax. @param logits [B, K]; @param labels int32 [B]. */
export function softmaxCrossEntropy(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
  let slope: tf.Tensor;
  const forward = () => {
    const attrs = [T, { name: 'Tlabels', type: AttrType.TYPE, value: DataType.INT32 }];
    const [losses, gradient] = runOp('SparseSoftmaxCrossEntropyWithLogits', [logits, labels], attrs, 2);
    slope = tf.div(gradient!, logits.shape[0]);
    return tf.mean(losses!);
  };
  const loss = differentiable(
    [logits],
    forward,
    () => [slope],
    (dy, [saved]) => [() => tf.mul(saved!, dy)],
  );
  return loss as tf.Scalar;
}

/** x / (k + alpha · Σ x²)^0.75, Σ over neighbours: paper §3.3. */
export interface NormFactors {
  k: number;
  alpha: number;
}

/**
 * Local response norm across channels, with power 0.75. TensorFlow's own op takes a logarithm, an exponential and, in
 * its gradient, a power of every value; a product with a band matrix and two square roots are faster.
 * @param radius neighbours on each side.
 */
export function channelNorm(x: tf.Tensor4D, radius: number, factors: NormFactors): tf.Tensor4D {
  const channels = x.shape[3];
  return norm(x, factors, (values, factor) => {
    const band = bandMatrix(channels, radius, factor);
    const flat = tf.reshape(values, [-1, channels]);
    return tf.reshape(matMul(flat, band, false, false), x.shape);
  });
}

/** [n, n]: `value` up to `radius` beside the diagonal, zeros elsewhere. */
function bandMatrix(n: number, radius: number, value: number): tf.Tensor2D {
  const values = Float32Array.from({ length: n * n }, (_, i) =>
    Math.abs(Math.floor(i / n) - (i % n)) <= radius ? value : 0,
  );
  return tf.tensor2d(values, [n, n]);
}

/** Local response norm within each map, power 0.75, over a window of `size` × `size` (odd) with zeros around the map. */
export function mapNorm(x: tf.Tensor4D, size: number, factors: NormFactors): tf.Tensor4D {
  return norm(x, factors, (values, factor) => {
    const edge: [number, number] = [(size - 1) / 2, (size - 1) / 2];
    const padded = tf.pad(values as tf.Tensor4D, [[0, 0], edge, edge, [0, 0]]);
    return tf.mul(tf.avgPool(padded as tf.Tensor4D, size, 1, 'valid'), size ** 2 * factor);
  });
}

/** @param sum a factor times the sum of each value's neighbours; who is whose neighbour is symmetric. */
function norm(
  x: tf.Tensor4D,
  { k, alpha }: NormFactors,
  sum: (values: tf.Tensor, factor: number) => tf.Tensor,
): tf.Tensor4D {
  let kept: tf.Tensor[] = [];
  const forward = () => {
    const base = tf.add(sum(run('Square', [x]), alpha), k);
    // Square roots and quotients are rounded correctly, which TensorFlow's powers and inverse roots are not; and dividing
    // twice keeps apart what one division by base^0.75 makes equal, on which a maximum would choose the wrong one.
    const root = run('Sqrt', [base]);
    const y = run('RealDiv', [run('RealDiv', [x, root]), run('Sqrt', [root])]);
    kept = [x, y, base, root];
    return y;
  };
  return differentiable(
    [x],
    forward,
    () => kept,
    (dy, [input, y, base, root]) => [
      () => {
        const power = tf.mul(root!, run('Sqrt', [root!])); // base^0.75
        const spread = sum(run('RealDiv', [tf.mul(dy, y!), base!]), 1.5 * alpha);
        return tf.sub(run('RealDiv', [dy, power]), tf.mul(input!, spread));
      },
    ],
  ) as tf.Tensor4D;
}

/**
 * Runs `forward` as one operation of the tape.
 * @param saved what the gradients need: tensors, the result, or a function that gives them after `forward`.
 */
function differentiable(
  inputs: readonly tf.Tensor[],
  forward: () => tf.Tensor,
  saved: readonly tf.Tensor[] | 'result' | (() => readonly tf.Tensor[]),
  gradients: (dy: tf.Tensor, saved: readonly tf.Tensor[]) => Gradients,
): tf.Tensor {
  const [result] = runOnTape({
    inputs,
    forward: (save) => {
      const result = forward();
      save(saved === 'result' ? [result] : typeof saved === 'function' ? saved() : saved);
      return [result];
    },
    backward: ([dy], kept) => gradients(dy!, kept),
  });
  return result!;
}

function addBias(product: tf.Tensor, bias: tf.Tensor1D): tf.Tensor {
  return run('BiasAdd', [product, bias], [T, NHWC]);
}

function matMul(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  return run(
    'MatMul',
    [a, b],
    [
      T,
      { name: 'transpose_a', type: AttrType.BOOL, value: transposeA },
      { name: 'transpose_b', type: AttrType.BOOL, value: transposeB },
    ],
  );
}

function sizes(shape: readonly number[]): tf.Tensor {
  return tf.tensor1d([...shape], 'int32');
}

function run(op: string, inputs: tf.Tensor[], attrs: OpAttr[] = [T]): tf.Tensor {
  return runOp(op, inputs, attrs)[0]!;
}
