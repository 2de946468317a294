/**
 * Tensors that lie in JavaScript's shared memory, which is TensorFlow's to read until the tensor is disposed of.
 *
 * TensorFlow does not write there: it computes in place only in memory that it owns, and what `TF_NewTensor` is given it
 * does not (`owns_memory` in `tensorflow/c/tf_tensor.cc`). An op on a CPU has read its inputs when the call of
 * it returns; one on a GPU when its result is there.
 */
import type * as tf from '@tensorflow/tfjs';
import { openContext } from '../c/context.js';
import { ALIGNMENT } from '../c/copy.js';
import { moveHandle } from '../c/handles.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { bytesPerElement, volume } from '../c/values.js';
import { loadKoffi } from '../install/koffi.js';
import { currentBinding, tensorOf } from './backend.js';
import type { PinnedBinding } from './binding.js';

const koffi = loadKoffi();

/** By tfjs's word for a tensor's values: their memory is not collected before it. */
const memories = new WeakMap<object, ArrayBufferLike>();

/**
 * A float32 tensor of `values` where they lie, in shared memory. Until it is disposed of, and with it all that may share its
 * memory, such as what is cloned or reshaped, the memory has to stay and nobody may write there. For a device with other
 * memory TensorFlow copies it where it is used. It is a copy from the start, as of `tensorFrom`, where the memory is not
 * shared, and where the values begin at no multiple of {@link ALIGNMENT} bytes.
 * @returns the caller's.
 * @throws NativeError when there are not as many values as the shape has.
 */
export function borrowTensor(shape: readonly number[], values: Float32Array): tf.Tensor {
  const id = borrow(shape, DataType.FLOAT, values);
  const tensor = tensorOf({ id, shape: [...shape], dtype: DataType.FLOAT });
  memories.set(tensor.dataId, values.buffer);
  return tensor;
}

/** The same as a handle of this thread's binding, which does not keep the memory. @returns its id. */
export function borrow(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): number {
  const binding = currentBinding();
  // In a recording it becomes a constant.
  const canLie = !binding.isRecording && lies(shape, dtype, values);
  if (!canLie) return binding.createTensor([...shape], dtype, values);
  const handle = handleOf(shape, dtype, values);
  if (binding.target.memory !== 'host') return binding.adopt(handle);
  // From one CPU device to another nothing is copied.
  return binding.adopt(moveHandle(openContext(), handle, binding.device));
}

/**
 * Values as a tensor in the host's memory, whatever the device: where they lie, if they can, and else a copy.
 * @returns its id in the binding, which does not keep the memory.
 */
export function hostTensor(
  binding: PinnedBinding,
  shape: readonly number[],
  dtype: number,
  values: Float32Array | Uint8Array,
  isCopied = false,
): number {
  if (isCopied || !lies(shape, dtype, values)) return binding.createHostTensor(shape, dtype, values);
  return binding.adopt(handleOf(shape, dtype, values));
}

/** Whether TensorFlow can use values where they are: in shared memory, aligned, and as many as the shape has. */
function lies(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): boolean {
  const bytes = volume(shape) * bytesPerElement(dtype);
  if (bytes === 0 || bytes !== values.byteLength || !(values.buffer instanceof SharedArrayBuffer)) return false;
  return koffi.address(values) % BigInt(ALIGNMENT) === 0n;
}

/** A TFE_TensorHandle of values where they are. */
function handleOf(shape: readonly number[], dtype: number, values: Float32Array | Uint8Array): Pointer {
  const { library, status } = openContext();
  const { c } = library;
  const sizes = BigInt64Array.from(shape, BigInt);
  const address = koffi.address(values);
  const tensor = c.TF_NewTensor(dtype, sizes, shape.length, address, values.byteLength, nothing(), 0n);
  const handle = c.TFE_NewTensorHandle(tensor, status);
  c.TF_DeleteTensor(tensor);
  check(c, status, `make a tensor of shape [${shape}]`);
  return handle;
}

let noOp: Pointer | undefined;

/**
 * The C function that TensorFlow calls with (data, length, argument), in whichever of its threads, when it is done with
 * borrowed memory: there is nothing to do. It cannot be a function of JavaScript's, for those threads have none. `labs`
 * takes the address for a number and computes another: it touches no memory and has no state, and every C library
 * exports it. The two arguments more than it takes are in registers that it leaves alone.
 */
function nothing(): Pointer {
  noOp ??= koffi.load(null).symbol('labs') as unknown as Pointer;
  return noOp;
}
