/** Tensors from memory and into memory, without tfjs's copies and its promise to upload later. */
import * as tf from '@tensorflow/tfjs';
import { currentBinding, tensorId, tensorOf } from './backend.js';
import { DataType } from './signatures.js';

/**
 * A tensor with a copy of `values`, which may be shared memory: it is copied before this returns.
 * @param values float32 or int32 by its type, row-major.
 * @returns the caller's.
 * @throws NativeError when there are not as many values as the shape has.
 */
export function tensorFrom(shape: readonly number[], values: Float32Array | Int32Array): tf.Tensor {
  const dtype = values instanceof Int32Array ? DataType.INT32 : DataType.FLOAT;
  const id = currentBinding().createTensor([...shape], dtype, values);
  return tensorOf({ id, shape: [...shape], dtype });
}

/**
 * Copies the tensor's values into `target`, which may be shared memory, once. Waits until they are computed.
 * @throws NativeError when `target` is not as long as they are.
 */
export function copyTensor(tensor: tf.Tensor, target: Uint8Array): void {
  currentBinding().copyTo(tensorId(tensor), target);
}

/**
 * Waits until the tensor is computed. On a CPU it is when it exists; on a GPU one element is fetched, for which the
 * device finishes all that was given to it before.
 */
export function settle(tensor: tf.Tensor): void {
  if (!currentBinding().isUsingGpuDevice()) return;
  tf.tidy(() => tensor.flatten().slice(0, 1).dataSync());
}
