/**
 * Borrowed tensors: TensorFlow reads their values in JavaScript's shared memory until they are disposed of. It does not
 * write there: it computes in place only in memory that it owns, and it does not own the memory that `TF_NewTensor` is given
 * (`owns_memory` in `tensorflow/c/tf_tensor.cc`). An op on a CPU has read its inputs when its call returns, an op on a GPU
 * when its result is there.
 */
import { loadKoffi } from '../install/koffi.js';
import type { Context } from './context.js';
import { ALIGNMENT } from './copy.js';
import type { Pointer } from './signatures.js';
import { bytesPerElement, handleOf, volume } from './tensors.js';

const koffi = loadKoffi();

/** Whether TensorFlow can use the values where they lie: in shared memory, from a multiple of {@link ALIGNMENT} bytes. */
export function canBorrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): boolean {
  const bytes = volume(shape) * bytesPerElement(dtype);
  if (bytes === 0 || bytes !== values.byteLength || !(values.buffer instanceof SharedArrayBuffer)) return false;
  return koffi.address(values) % BigInt(ALIGNMENT) === 0n;
}

/** A handle of the values in the host's memory, without a copy; the caller's. It does not keep the memory alive. */
export function borrowedHandle(
  context: Context,
  shape: readonly number[],
  dtype: number,
  values: Float32Array | Uint8Array,
): Pointer {
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
