/** Tensors of TensorFlow's, and what is asked of their handles. */
import { NativeError } from '../../errors.js';
import type { Context } from './context.js';
import type { Library } from './load.js';
import type { Pointer } from './signatures.js';
import { check, RESOURCE_EXHAUSTED } from './status.js';

/**
 * A TF_Tensor with memory for its values, in host memory; the caller's.
 * @throws NativeError (RESOURCE_EXHAUSTED) when there is none: TensorFlow gives a tensor at address 0 then.
 */
export function allocateTensor({ c }: Library, dtype: number, shape: readonly number[], bytes: number): Pointer {
  const tensor = c.TF_AllocateTensor(dtype, BigInt64Array.from(shape, BigInt), shape.length, bytes);
  if (bytes === 0 || c.TF_TensorData(tensor)) return tensor;
  c.TF_DeleteTensor(tensor);
  throw new NativeError(
    `Cannot make a tensor of shape [${shape}]: OOM when allocating its ${bytes} bytes in host memory, expected them to be free; make room, or make it smaller`,
    RESOURCE_EXHAUSTED,
  );
}

/**
 * The shape of a tensor; waits for it when the op that makes the tensor is not done.
 * @throws NativeError when that op failed.
 */
export function shapeOfHandle({ library, status }: Context, handle: Pointer): number[] {
  const { c } = library;
  const rank = c.TFE_TensorHandleNumDims(handle, status);
  check(c, status, 'ask for the shape of a tensor');
  return Array.from({ length: rank }, (_, i) => {
    const size = Number(c.TFE_TensorHandleDim(handle, i, status));
    check(c, status, 'ask for the shape of a tensor');
    return size;
  });
}

/**
 * A handle of the tensor on `device`, the caller's; `handle` is freed, whatever happens.
 * @throws NativeError when it cannot be copied there.
 */
export function moveHandle({ library, status, address }: Context, handle: Pointer, device: string): Pointer {
  const { c } = library;
  const there = c.TFE_TensorHandleCopyToDevice(handle, address, device, status);
  c.TFE_DeleteTensorHandle(handle);
  check(c, status, `copy a tensor to ${device}`);
  return there;
}
