/**
 * Layers by TensorFlow's own ops, where tfjs makes chains of several: one op or two forward, and one for the gradient of
 * each input, run only when that gradient is asked for. All are differentiable by tfjs's tape; results are the caller's
 * (or `tf.tidy`'s). float32, NHWC.
 */
import tf = require('@tensorflow/tfjs');

import { currentBinding, runOp } from '../binding/backend.js';
import { AttrType, DataType } from '../c/signatures.js';
import { differentiable, matMul, NHWC, run, T } from './differentiable.js';

/**
 * A convolution, with bias when one is given. Other paddings are a `zeroPad` before it: on a CPU TensorFlow takes half as
 * long again for the same padding given in numbers.
 * @param x [B, H, W, C]; @param kernel HWIO; @param bias [O].
 * @returns [B, H', W', O].
 */
export function conv2dBias(
  x: tf.Tensor4D,
  kernel: tf.Tensor4D,
  bias: tf.Tensor1D | undefined,
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
  return differentiable(given(x, kernel, bias), forward, [x, kernel], (dy, [input, filter]) => [
    () => run('Conv2DBackpropInput', [sizes(input!.shape), filter!, dy], attrs),
    () => run('Conv2DBackpropFilter', [input!, sizes(filter!.shape), dy], attrs),
    () => run('BiasAddGrad', [dy], [T, NHWC]),
  ]) as tf.Tensor4D;
}

/** x · kernel, plus bias when one is given. @param x [B, in]; @param kernel [in, out]; @param bias [out]. */
export function matMulBias(x: tf.Tensor2D, kernel: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D {
  const forward = () => addBias(matMul(x, kernel, false, false), bias);
  return differentiable(given(x, kernel, bias), forward, [x, kernel], (dy, [input, weights]) => [
    () => timesTransposed(dy, weights!),
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

function given(...inputs: (tf.Tensor | undefined)[]): tf.Tensor[] {
  return inputs.filter((each) => each !== undefined);
}

function addBias(product: tf.Tensor, bias: tf.Tensor1D | undefined): tf.Tensor {
  if (!bias) return product;
  return run('BiasAdd', [product, bias], [T, NHWC]);
}

/** Below this many weights the two transpositions cost more than they save. */
const LARGE = 2 ** 16;

/**
 * dy · weightsᵀ. On a CPU TensorFlow takes three times as long for it as for weights · dyᵀ, which goes through the
 * weights' rows in their order; the values are the same.
 */
function timesTransposed(dy: tf.Tensor, weights: tf.Tensor): tf.Tensor {
  if (currentBinding().target.type !== 'CPU' || weights.size < LARGE) return matMul(dy, weights, false, true);
  return tf.transpose(matMul(weights, tf.transpose(dy), false, false));
}

function sizes(shape: readonly number[]): tf.Tensor {
  return tf.tensor1d([...shape], 'int32');
}
