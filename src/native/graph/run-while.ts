/** A compiled function that runs in TensorFlow's thread while JavaScript does what it waits for. */

import type { NativeError } from '../../errors.js';
import { ownBinding } from '../binding/backend.js';
import type { TensorMetadata } from '../binding/binding.js';
import { isCancelled } from '../c/status.js';
import { AsyncExecutor } from './async-executor.js';
import type { Cancellation } from './cancellation.js';

/** What a tower runs its functions with while it does other work. */
export interface RunsWhile {
  /** Is renewed when it was started. */
  cancellation: Cancellation;
  /** Is told of the cancellation when it was renewed. */
  noteCancellation(address: bigint): void;
  /** Is told of the executor while there is one, and of 0 when it is gone: a thread that dies leaves it. */
  noteExecutor(address: bigint): void;
}

/**
 * Has what `start` calls run in TensorFlow's thread while `work` runs in this one, and waits for both. When one of them
 * fails the other is ended: the function by the cancellation, `work` where it takes from a queue.
 * @returns what `start` does, computed. @throws what failed first.
 */
export function runWhile(
  { cancellation, noteExecutor, noteCancellation }: RunsWhile,
  start: () => TensorMetadata[],
  work: () => void,
): TensorMetadata[] {
  const binding = ownBinding();
  const executor = new AsyncExecutor();
  noteExecutor(executor.address);
  let started: TensorMetadata[] = [];
  let failure: { error: unknown } | undefined;
  // A thread of JavaScript's that ends takes none of TensorFlow's with it, nor a function that waits for it.
  const leave = () => {
    cancellation.start();
    errorOf(() => executor.wait());
    noteExecutor(0n);
    executor.dispose();
  };
  process.once('exit', leave);
  binding.cancellation = cancellation.address;
  try {
    try {
      started = executor.start(start);
      work();
    } catch (error) {
      failure = { error };
      cancellation.start();
    }
    const ended = errorOf(() => executor.wait());
    // Whichever ended by itself has ended the other.
    if (ended && !(failure && isCancelled(ended))) failure = { error: ended };
    if (!failure) return started;
  } finally {
    process.off('exit', leave);
    binding.cancellation = undefined;
    noteExecutor(0n);
    executor.dispose();
  }
  cancellation.renew();
  noteCancellation(cancellation.address);
  for (const { id } of started) binding.deleteTensor(id);
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
