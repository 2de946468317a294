/** Ends what both towers wait for, from any thread. */
import { abortMailboxes, type Mailboxes, startCancellations, takeExecutor } from '../exchange/index.js';
import { deleteExecutor, startCancellation } from '../native/graph/run-while.js';

/**
 * Ends every wait of the two towers, now and later: at their mailboxes and at TensorFlow's queues, even of a function whose
 * thread is gone. Each wait throws an ExchangeError with `peerFailed`.
 */
export function abortTowers(mailboxes: Mailboxes): void {
  abortMailboxes(mailboxes);
  startCancellations(mailboxes, startCancellation);
}

/** Deletes what a tower whose thread is gone left in TensorFlow, after {@link abortTowers}. Waits for its function to end. */
export function reapTower(mailboxes: Mailboxes, tower: 0 | 1): void {
  const executor = takeExecutor(mailboxes, tower);
  if (executor !== 0n) deleteExecutor(executor);
}
