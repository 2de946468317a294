/**
 * Runs a compiled function in a thread of TensorFlow's while JavaScript serves its queues. If one of the two fails, the
 * other ends.
 */
import type { NativeError } from '../../errors.js';
import { ownBinding } from '../binding/backend.js';
import type { TensorMetadata } from '../binding/binding.js';
import { AsyncExecutor } from '../binding/executor.js';
import { newCancellation, startCancellation } from '../c/cancellation.js';
import type { Pointer } from '../c/signatures.js';
import { isCancelled } from '../c/status.js';

/** How functions run that use queues. */
export interface RunsWhile {
  /** TensorFlow's cancellation manager: see {@link newCancellation}. It is replaced after it was started. */
  cancellation: Pointer;
  /** Is called with the new one after that. */
  noteCancellation(address: Pointer): void;
  /** Is called with the executor's address, and with 0 when it is disposed of: a thread that dies leaves it behind. */
  noteExecutor(address: Pointer): void;
}

/**
 * Calls `start` in a thread of TensorFlow's, runs `work` in this thread, and waits for both. If `work` fails, the
 * cancellation ends the function; if the function fails, the queue on which `work` waits ends that.
 * @returns the function's results, computed.
 * @throws what failed first.
 */
export function runWhile(by: RunsWhile, start: () => TensorMetadata[], work: () => void): TensorMetadata[] {
  const binding = ownBinding();
  const executor = new AsyncExecutor();
  by.noteExecutor(executor.address);
  const release = () => {
    by.noteExecutor(0n);
    executor.dispose();
  };
  // If this thread ends, TensorFlow's thread continues, and so does a function that waits for this one.
  const onExit = () => {
    startCancellation(by.cancellation);
    errorOf(() => executor.wait());
    release();
  };
  let results: TensorMetadata[] = [];
  let failure: { error: unknown } | undefined;
  process.once('exit', onExit);
  binding.cancellation = by.cancellation;
  try {
    try {
      results = executor.start(start);
      work();
    } catch (error) {
      failure = { error };
      startCancellation(by.cancellation);
    }
    const ended = errorOf(() => executor.wait());
    if (ended && !(failure && isCancelled(ended))) failure = { error: ended }; // unless `work` failed first
    if (!failure) return results;
  } finally {
    process.off('exit', onExit);
    binding.cancellation = undefined;
    release();
  }
  // The old one's some hundred bytes stay: another thread may be starting it.
  by.cancellation = newCancellation();
  by.noteCancellation(by.cancellation);
  for (const { id } of results) binding.deleteTensor(id);
  throw failure.error;
}

function errorOf(action: () => void): NativeError | undefined {
  try {
    action();
  } catch (error) {
    return error as NativeError;
  }
  return undefined;
}
