/** A thread of TensorFlow's beside this one: what is called there goes on while JavaScript does. */
import { openContext } from '../c/context.js';
import { openLibrary } from '../c/load.js';
import type { Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';

/**
 * One such thread, in which calls run one after another. Their results' handles are there at once, their values when
 * {@link AsyncExecutor.wait} has returned; what they read has to stay as it is until then. Not to be shared between threads.
 */
export class AsyncExecutor {
  /** For {@link deleteExecutor} in another thread. */
  readonly address: Pointer;

  constructor() {
    this.address = openContext().library.c.TFE_NewExecutor(true, false, 0);
  }

  /** Has the ops and functions that `action` calls run there. @returns what `action` does. @throws what it throws. */
  start<T>(action: () => T): T {
    const { library, address } = openContext();
    const { c } = library;
    const before = c.TFE_ContextGetExecutorForThread(address);
    c.TFE_ContextSetExecutorForThread(address, this.address);
    try {
      return action();
    } finally {
      c.TFE_ContextSetExecutorForThread(address, before);
      c.TFE_DeleteExecutor(before); // the handle that was made to ask for it
    }
  }

  /** Waits for all that was started. @throws NativeError for what failed; then it can be used as before. */
  wait(): void {
    const { library, status } = openContext();
    const { c } = library;
    c.TFE_ExecutorWaitForAllPendingNodes(this.address, status);
    try {
      check(c, status, 'run a compiled function');
    } catch (error) {
      c.TFE_ExecutorClearError(this.address);
      throw error;
    }
  }

  /** Ends the thread. */
  dispose(): void {
    openContext().library.c.TFE_DeleteExecutor(this.address);
  }
}

/** Ends the thread of an executor whose own thread of JavaScript is gone, when what runs there has ended. */
export function deleteExecutor(address: Pointer): void {
  openLibrary().c.TFE_DeleteExecutor(address);
}
