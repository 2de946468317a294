/** Tensors from memory and into memory, without tfjs's own copies and its delayed upload. */
import tf = require('@tensorflow/tfjs');

import { attr, type OpAttr } from '../c/attributes.js';
import { openContext, shortName } from '../c/context.js';
import { ALIGNMENT } from '../c/copy.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { bytesPerElement, handleOf, moveHandle, volume } from '../c/tensors.js';
import { loadKoffi } from '../install/koffi.js';
import { currentBinding, tensorId, tensorOf } from './backend.js';
import type { PinnedBinding } from './binding.js';

const koffi = loadKoffi();

/**
 * A float32 or int32 tensor, by the type of `values`, which are copied and may be in shared memory. @returns the caller's.
 * @throws NativeError if the number of values is not that of the shape.
 */
export function tensorFrom(shape: readonly number[], values: Float32Array | Int32Array): tf.Tensor {
  const dtype = values instanceof Int32Array ? DataType.INT32 : DataType.FLOAT;
  const id = currentBinding().createTensor([...shape], dtype, values);
  return tensorOf({ id, shape: [...shape], dtype });
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

/*
 * Borrowed tensors: TensorFlow reads their values in JavaScript's shared memory until they are disposed of. It does not
 * write there: it computes in place only in memory that it owns, and it does not own the memory that `TF_NewTensor` is given
 * (`owns_memory` in `tensorflow/c/tf_tensor.cc`). An op on a CPU has read its inputs when its call returns, an op on a GPU
 * when its result is there.
 */

/** Keeps the memory of tensors alive, by tfjs's `dataId`. */
const memories = new WeakMap<object, ArrayBufferLike>();

/**
 * A float32 tensor of `values` without a copy. Nobody may write to the memory until the tensor, and all that may share its
 * memory (clones, reshaped tensors), are disposed of. TensorFlow copies it to a device with other memory where it is used.
 * It is a copy from the start if the memory is not shared, or does not begin at a multiple of {@link ALIGNMENT} bytes.
 * @returns the caller's.
 * @throws NativeError if the number of values is not that of the shape.
 */
export function borrowTensor(shape: readonly number[], values: Float32Array): tf.Tensor {
  const id = borrow(shape, DataType.FLOAT, values);
  const tensor = tensorOf({ id, shape: [...shape], dtype: DataType.FLOAT });
  memories.set(tensor.dataId, values.buffer);
  return tensor;
}

/** Like {@link borrowTensor}, as an id of this thread's binding. It does not keep the memory alive. */
export function borrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): number {
  const binding = currentBinding();
  // In a recording it becomes a constant.
  if (binding.isRecording || !canBorrow(shape, dtype, values)) return binding.createTensor([...shape], dtype, values);
  const handle = borrowedHandle(shape, dtype, values);
  if (binding.target.memory !== 'host') return binding.adopt(handle);
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
  return binding.adopt(borrowedHandle(shape, dtype, values));
}

function canBorrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): boolean {
  const bytes = volume(shape) * bytesPerElement(dtype);
  if (bytes === 0 || bytes !== values.byteLength || !(values.buffer instanceof SharedArrayBuffer)) return false;
  return koffi.address(values) % BigInt(ALIGNMENT) === 0n;
}

function borrowedHandle(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): Pointer {
  const context = openContext();
  const sizes = BigInt64Array.from(shape, BigInt);
  const address = koffi.address(values);
  const { TF_NewTensor } = context.c;
  const tensor = TF_NewTensor(dtype, sizes, shape.length, address, values.byteLength, deallocator(), 0n);
  return handleOf(context, tensor, shape);
}

let labs: Pointer | undefined;

/**
 * The C function that TensorFlow calls with (data, length, argument), in any of its threads, when it no longer needs the
 * borrowed memory. It must do nothing, and cannot be a JavaScript function, because those threads run none. `labs` reads the
 * address as a number: it touches no memory, is in every C library, and leaves the further arguments alone.
 */
function deallocator(): Pointer {
  labs ??= koffi.load(null).symbol('labs') as unknown as Pointer;
  return labs;
}
