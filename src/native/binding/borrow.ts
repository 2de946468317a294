/**
 * Tensors that lie in JavaScript's shared memory. Where the device is a CPU nothing is copied, and the memory is
 * TensorFlow's to read until the tensor is disposed of.
 *
 * TensorFlow does not write there: it computes in place only in memory that it owns, and what `TF_NewTensor` is given it
 * does not (`owns_memory` in `tensorflow/c/tf_tensor.cc`). And an op on a CPU has read its inputs when the call of it
 * returns.
 */
import type * as tf from '@tensorflow/tfjs';
import koffi from 'koffi';
import { openContext } from '../c/context.js';
import { ALIGNMENT } from '../c/copy.js';
import { moveHandle } from '../c/handles.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { bytesPerElement } from '../c/values.js';
import { currentBinding, tensorOf } from './backend.js';

/** By tfjs's word for a tensor's values: their memory is not collected before it. */
const memories = new WeakMap<object, ArrayBufferLike>();

/**
 * A float32 tensor of `values` where they lie, in shared memory. Until it is disposed of, and with it all that may share its
 * memory, such as what is cloned or reshaped, the memory has to stay and nobody may write there. It is a copy, as of
 * `tensorFrom`, where it cannot lie there: on another device than a CPU, in memory that is not shared, and where the values
 * begin at no multiple of {@link ALIGNMENT} bytes.
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
  const bytes = shape.reduce((product, size) => product * size, bytesPerElement(dtype));
  const isCopied =
    binding.isRecording || // becomes a constant
    binding.isUsingGpuDevice() ||
    !(values.buffer instanceof SharedArrayBuffer) ||
    bytes === 0 ||
    bytes !== values.byteLength;
  const address = isCopied ? 1n : koffi.address(values);
  if (address % BigInt(ALIGNMENT) !== 0n) return binding.createTensor([...shape], dtype, values);
  const context = openContext();
  const { library, status } = context;
  const { c } = library;
  const tensor = c.TF_NewTensor(dtype, BigInt64Array.from(shape, BigInt), shape.length, address, bytes, nothing(), 0n);
  const handle = c.TFE_NewTensorHandle(tensor, status);
  c.TF_DeleteTensor(tensor);
  check(c, status, `make a tensor of shape [${shape}]`);
  // From one CPU device to another nothing is copied.
  return binding.adopt(moveHandle(context, handle, binding.device));
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
