/** Ends what both towers wait for, from any thread. */
import { abortMailboxes, type Mailboxes, startCancellations, takeExecutor } from '../exchange/index.js';
import { deleteExecutor, startCancellation } from '../native/graph/run-while.js';

/**
 * Ends every wait of the two towers, now and later: at their mailboxes, and within TensorFlow at queues, also of a function
 * whose thread is gone. Each that waited throws an error that is an echo.
 */
export function abortTowers(mailboxes: Mailboxes): void {
  abortMailboxes(mailboxes);
  startCancellations(mailboxes, startCancellation);
}

/** After {@link abortTowers}: ends what a tower left in TensorFlow whose thread is gone. Waits for its function to end. */
export function reapTower(mailboxes: Mailboxes, tower: 0 | 1): void {
  const executor = takeExecutor(mailboxes, tower);
  if (executor !== 0n) deleteExecutor(executor);
}
