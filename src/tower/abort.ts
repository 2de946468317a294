/** Ends what both towers wait for, from any thread. */
import { abortMailboxes, type Mailboxes, startCancellations, takeExecutor } from '../exchange/mailbox.js';
import { deleteExecutor, startCancellation } from '../native/c/cancellation.js';

/**
 * Ends every wait of the two towers, now and later: at their mailboxes and at TensorFlow's queues. Each wait throws an
 * ExchangeError with `peerFailed`.
 * @param gone a tower whose thread is gone. Waits for its function to end, and deletes what it left in TensorFlow.
 */
export function abortTowers(mailboxes: Mailboxes, gone?: 0 | 1): void {
  abortMailboxes(mailboxes);
  startCancellations(mailboxes, startCancellation);
  const executor = gone === undefined ? 0n : takeExecutor(mailboxes, gone);
  if (executor !== 0n) deleteExecutor(executor);
}
