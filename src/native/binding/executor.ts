/** A thread of TensorFlow's that runs what JavaScript's does not wait for. */
import { deleteExecutor } from '../c/cancellation.js';
import { openContext } from '../c/context.js';
import { openLibrary } from '../c/load.js';
import type { Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { inExecutor } from './execute.js';

/**
 * A thread of TensorFlow's, in which calls run one after another. The handles of their results exist at once, their values
 * when {@link AsyncExecutor.wait} returns; until then their inputs must not change. For one thread of JavaScript.
 */
export class AsyncExecutor {
  /** For {@link deleteExecutor} in another thread. */
  readonly address: Pointer = openLibrary().c.TFE_NewExecutor(true, false, 0);

  /** Runs the ops and functions that `action` calls in TensorFlow's thread. */
  start<T>(action: () => T): T {
    return inExecutor(openContext(), this.address, action);
  }

  /** Waits for everything that was started. @throws NativeError if something failed; the executor stays usable. */
  wait(): void {
    const context = openContext();
    context.c.TFE_ExecutorWaitForAllPendingNodes(this.address, context.status);
    try {
      check(context, 'run a compiled function');
    } catch (error) {
      context.c.TFE_ExecutorClearError(this.address);
      throw error;
    }
  }

  dispose(): void {
    deleteExecutor(this.address);
  }
}
