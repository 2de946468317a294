/**
 * Tensors of values in JavaScript's shared memory, which TensorFlow reads until the tensor is disposed of.
 *
 * TensorFlow does not write there: it computes in place only in memory that it owns, and it does not own the memory that
 * `TF_NewTensor` is given (`owns_memory` in `tensorflow/c/tf_tensor.cc`). An op on a CPU has read its inputs when its call
 * returns, an op on a GPU when its result is there.
 */
import type * as tf from '@tensorflow/tfjs';
import { openContext } from '../c/context.js';
import { ALIGNMENT } from '../c/copy.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { bytesPerElement, handleOf, moveHandle, volume } from '../c/tensors.js';
import { loadKoffi } from '../install/koffi.js';
import { currentBinding, tensorOf } from './backend.js';
import type { PinnedBinding } from './binding.js';

const koffi = loadKoffi();

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

/**
 * A tensor of `values` in the host's memory, whatever the device: without a copy if possible, unless `isCopied`.
 * @returns its id in the binding, which does not keep the memory alive.
 */
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

/** Whether the values are in shared memory, aligned, and as many as the shape has. */
function canBorrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): boolean {
  const bytes = volume(shape) * bytesPerElement(dtype);
  if (bytes === 0 || bytes !== values.byteLength || !(values.buffer instanceof SharedArrayBuffer)) return false;
  return koffi.address(values) % BigInt(ALIGNMENT) === 0n;
}

function borrowedHandle(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): Pointer {
  const context = openContext();
  const sizes = BigInt64Array.from(shape, BigInt);
  const address = koffi.address(values);
  const { TF_NewTensor } = context.library.c;
  const tensor = TF_NewTensor(dtype, sizes, shape.length, address, values.byteLength, deallocator(), 0n);
  return handleOf(context, tensor, shape);
}

let labs: Pointer | undefined;

/**
 * The C function that TensorFlow calls with (data, length, argument), in any of its threads, when it no longer needs the
 * borrowed memory: it does nothing. It cannot be a JavaScript function, because those threads have none. `labs` takes the
 * address for a number and computes another one: it touches no memory, has no state, and is in every C library. The two
 * further arguments are in registers that it leaves alone.
 */
function deallocator(): Pointer {
  labs ??= koffi.load(null).symbol('labs') as unknown as Pointer;
  return labs;
}
