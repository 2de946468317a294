/** Tensors from memory and into memory, without tfjs's own copies and its delayed upload. */
import tf = require('@tensorflow/tfjs');

import { attr, type OpAttr } from '../c/attributes.js';
import { borrowedHandle, canBorrow } from '../c/borrow.js';
import { openContext, shortName } from '../c/context.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { moveHandle } from '../c/tensors.js';
import { currentBinding, tensorId, tensorOf } from './backend.js';
import type { PinnedBinding } from './binding.js';

/**
 * A float32, int32 or uint8 tensor, by the type of `values`, which are copied and may be in shared memory. tfjs, which has no
 * uint8, calls such a tensor int32; {@link floatOfBytes} reads it. @returns the caller's.
 * @throws NativeError if the number of values is not that of the shape.
 */
export function tensorFrom(shape: readonly number[], values: Float32Array | Int32Array | Uint8Array): tf.Tensor {
  const dtype = dtypeOf(values);
  const id = currentBinding().createTensor([...shape], dtype, values);
  return tensorOf({ id, shape: [...shape], dtype });
}

function dtypeOf(values: Float32Array | Int32Array | Uint8Array): number {
  if (values instanceof Uint8Array) return DataType.UINT8;
  return values instanceof Int32Array ? DataType.INT32 : DataType.FLOAT;
}

/** The values of a uint8 tensor as float32; the tensor stays the caller's. @returns the caller's. */
export function floatOfBytes(tensor: tf.Tensor): tf.Tensor {
  const attrs = castAttrs(DataType.UINT8, DataType.FLOAT);
  return tensorOf(currentBinding().executeOp('Cast', attrs, [tensorId(tensor)], 1)[0]!);
}

/** Copies the tensor's values into `target`, which may be shared memory. @throws NativeError if its length is another. */
export function copyTensor(tensor: tf.Tensor, target: Uint8Array): void {
  currentBinding().copyTo(tensorId(tensor), target);
}

/**
 * Waits until the tensor is computed. A tensor in host memory is computed when it exists. From a GPU one element is
 * fetched, for which the device finishes all its earlier work.
 * @param isResult of a compiled function, whose call ends when a server has run it: no other round trip is needed.
 */
export function settle(tensor: tf.Tensor, isResult = false): void {
  const binding = currentBinding();
  if (binding.target.memory === 'host' || (isResult && binding.target.memory === 'remote')) return;
  if (shortName(binding.backingDevice(tensorId(tensor))).startsWith('CPU')) return;
  tf.tidy(() => tensor.flatten().slice(0, 1).dataSync());
}

/** Like {@link copyTensor}, as float16: two bytes each, rounded to nearest. */
export function copyTensorAsHalf(tensor: tf.Tensor, target: Uint8Array): void {
  const binding = currentBinding();
  const half = binding.executeOp('Cast', castAttrs(DataType.FLOAT, DataType.HALF), [tensorId(tensor)], 1)[0]!;
  try {
    binding.copyTo(half.id, target);
  } finally {
    binding.deleteTensor(half.id);
  }
}

/** A float32 tensor of float16 values, two bytes each, which are copied. @returns the caller's. */
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

export function castAttrs(from: number, to: number): OpAttr[] {
  return [attr.type('SrcT', from), attr.type('DstT', to), attr.bool('Truncate', false)];
}

/** The tensor of a handle from another thread, float32 or uint8, which becomes this thread's. @returns the caller's. */
export function adoptTensor(handle: Pointer, shape: readonly number[], isBytes: boolean): tf.Tensor {
  const dtype = isBytes ? DataType.UINT8 : DataType.FLOAT;
  return tensorOf({ id: currentBinding().adopt(handle), shape: [...shape], dtype });
}

/** Keeps the memory of tensors alive, by tfjs's `dataId`. */
const memories = new WeakMap<object, ArrayBufferLike>();

/**
 * A float32 or uint8 tensor of `values` without a copy. Nobody may write to the memory until the tensor, and all that may
 * share its memory (clones, reshaped tensors), are disposed of. It is a copy on a GPU, and if the memory is not shared or
 * does not begin at a multiple of `ALIGNMENT` bytes. To a server's device TensorFlow copies it where it is used.
 * @returns the caller's.
 * @throws NativeError if the number of values is not that of the shape.
 */
export function borrowTensor(shape: readonly number[], values: Float32Array | Uint8Array): tf.Tensor {
  const dtype = dtypeOf(values);
  const id = borrow(shape, dtype, values);
  const tensor = tensorOf({ id, shape: [...shape], dtype });
  memories.set(tensor.dataId, values.buffer);
  return tensor;
}

/** Like {@link borrowTensor}, as an id of this thread's binding. It does not keep the memory alive. */
export function borrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): number {
  const binding = currentBinding();
  // In a recording it becomes a constant.
  if (binding.isRecording || !canBorrow(shape, dtype, values)) return binding.createTensor([...shape], dtype, values);
  const handle = borrowedHandle(openContext(), shape, dtype, values);
  if (binding.target.memory === 'remote') return binding.adopt(handle);
  // This copies nothing from one CPU device to another.
  return binding.adopt(moveHandle(openContext(), handle, binding.device));
}

/** Like {@link borrow}, but in the host's memory; `isCopied` copies the values in any case. */
export function hostTensor(
  binding: PinnedBinding,
  shape: readonly number[],
  dtype: number,
  values: Float32Array | Uint8Array,
  isCopied = false,
): number {
  if (isCopied || !canBorrow(shape, dtype, values)) return binding.createHostTensor(shape, dtype, values);
  return binding.adopt(borrowedHandle(openContext(), shape, dtype, values));
}
