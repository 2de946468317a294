/**
 * Copies of shared memory to GPUs for which no thread of JavaScript waits. Each device has a thread of TensorFlow's for them.
 * An op or a function that uses such a copy waits for it (`EagerExecutor` and `CopyToDeviceNode` in
 * `tensorflow/core/common_runtime/eager`); a copy that failed is that op's error.
 */
import { borrowedHandle } from '../c/borrow.js';
import { openContext } from '../c/context.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { moveHandle } from '../c/tensors.js';
import { AsyncExecutor } from './executor.js';

export class Uploader {
  readonly #executors = new Map<string, AsyncExecutor>();

  /**
   * Starts to copy the values, which must not change until an op has used the result, or {@link close} has returned.
   * @param device its full name. @param handles how many handles of the one copy are wanted.
   * @returns TFE_TensorHandles, the caller's: any thread may adopt them.
   */
  start(device: string, shape: readonly number[], values: Float32Array | Uint8Array, handles: number): Pointer[] {
    const context = openContext();
    const { c, status } = context;
    const dtype = values instanceof Uint8Array ? DataType.UINT8 : DataType.FLOAT;
    let executor = this.#executors.get(device);
    if (!executor) {
      executor = new AsyncExecutor();
      this.#executors.set(device, executor);
    }
    const copy = executor.start(() => moveHandle(context, borrowedHandle(context, shape, dtype, values), device));
    const more = Array.from({ length: handles - 1 }, () => {
      const shared = c.TFE_TensorHandleCopySharingTensor(copy, status);
      check(context, 'share a tensor');
      return shared;
    });
    return [copy, ...more];
  }

  /** Waits for the copies. Those that failed have failed where they were used. */
  close(): void {
    for (const executor of this.#executors.values()) {
      try {
        executor.wait();
      } catch {
      } finally {
        executor.dispose();
      }
    }
    this.#executors.clear();
  }
}

/** Frees a handle that nobody adopted. */
export function dropHandle(handle: Pointer): void {
  openContext().c.TFE_DeleteTensorHandle(handle);
}
