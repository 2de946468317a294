/** How a thread ends what another one waits for in TensorFlow, also one that has not loaded tfjs. */
import { openLibrary } from './load.js';
import type { Pointer } from './signatures.js';

/** Ends an executor, when what runs in it has ended; for one whose thread of JavaScript is gone. */
export function deleteExecutor(address: Pointer): void {
  openLibrary().c.TFE_DeleteExecutor(address);
}

/** A cancellation manager: ops that were given it end when it is started, and ops that come later end at once. */
export function newCancellation(): Pointer {
  return openLibrary().c.TFE_NewCancellationManager();
}

/** Starts a cancellation, from any thread. */
export function startCancellation(address: Pointer): void {
  openLibrary().c.TFE_CancellationManagerStartCancel(address);
}
