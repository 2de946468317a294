/** Tensors from memory and into memory, without tfjs's own copies and its delayed upload. */
import tf = require('@tensorflow/tfjs');

import { attr, type OpAttr } from '../c/attributes.js';
import { shortName } from '../c/context.js';
import { DataType } from '../c/signatures.js';
import { currentBinding, tensorId, tensorOf } from './backend.js';
import { borrow } from './borrow.js';

/**
 * A tensor with a copy of `values`, which may be in shared memory. They are copied before this returns.
 * @param values float32 or int32 by its type, row-major.
 * @returns the caller's.
 * @throws NativeError if the number of values is not that of the shape.
 */
export function tensorFrom(shape: readonly number[], values: Float32Array | Int32Array): tf.Tensor {
  const dtype = values instanceof Int32Array ? DataType.INT32 : DataType.FLOAT;
  const id = currentBinding().createTensor([...shape], dtype, values);
  return tensorOf({ id, shape: [...shape], dtype });
}

/**
 * Copies the tensor's values once, into `target`, which may be shared memory. Waits until they are computed.
 * @throws NativeError if `target` has another length.
 */
export function copyTensor(tensor: tf.Tensor, target: Uint8Array): void {
  currentBinding().copyTo(tensorId(tensor), target);
}

/**
 * Waits until the tensor is computed. A tensor in host memory is computed when it exists. From a GPU one element is
 * fetched, for which the device finishes all its earlier work.
 */
export function settle(tensor: tf.Tensor): void {
  const binding = currentBinding();
  if (binding.target.memory === 'host') return;
  if (shortName(binding.backingDevice(tensorId(tensor))).startsWith('CPU')) return;
  tf.tidy(() => tensor.flatten().slice(0, 1).dataSync());
}

/**
 * Copies the tensor's values into `target` as float16, two bytes each, rounded to nearest.
 * @throws NativeError if `target` has another length.
 */
export function copyTensorAsHalf(tensor: tf.Tensor, target: Uint8Array): void {
  const binding = currentBinding();
  const half = binding.executeOp('Cast', castAttrs(DataType.FLOAT, DataType.HALF), [tensorId(tensor)], 1)[0]!;
  try {
    binding.copyTo(half.id, target);
  } finally {
    binding.deleteTensor(half.id);
  }
}

/** A float32 tensor of float16 values, two bytes each, which are read before this returns. @returns the caller's. */
export function tensorFromHalf(shape: readonly number[], bytes: Uint8Array): tf.Tensor {
  const binding = currentBinding();
  const half = borrow(shape, DataType.HALF, bytes);
  try {
    return tensorOf(binding.executeOp('Cast', castAttrs(DataType.HALF, DataType.FLOAT), [half], 1)[0]!);
  } finally {
    binding.deleteTensor(half);
  }
}

/** The largest number of float16. A larger value becomes this number; rounding would make it infinite. */
const HALF_MAX = 65_504;

/** `tensor` times `scale`, in the range of float16; the tensor itself for a scale of 1. */
export function scaledForHalf(tensor: tf.Tensor, scale: number): tf.Tensor {
  return scale === 1 ? tensor : tf.clipByValue(tf.mul(tensor, scale), -HALF_MAX, HALF_MAX);
}

/** The inverse of {@link scaledForHalf}; the tensor itself for a scale of 1. */
export function unscaledFromHalf(tensor: tf.Tensor, scale: number): tf.Tensor {
  return scale === 1 ? tensor : tf.mul(tensor, 1 / scale);
}

/** Attributes of `Cast`. */
export function castAttrs(from: number, to: number): OpAttr[] {
  return [attr.type('SrcT', from), attr.type('DstT', to), attr.bool('Truncate', false)];
}
