/** What is asked of a TFE_TensorHandle. */
import type { Context } from './context.js';
import type { Pointer } from './signatures.js';
import { check } from './status.js';

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
