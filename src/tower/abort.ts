/** Ends what both towers wait for, from any thread. */
import { abortMailboxes, type Mailboxes, startCancellations } from '../exchange/index.js';
import { startCancellation } from '../native/graph/cancellation.js';

/**
 * Ends every wait of the two towers, now and later: at their mailboxes, and within TensorFlow at queues, also of a function
 * whose thread is gone. Each that waited throws an error that is an echo.
 */
export function abortTowers(mailboxes: Mailboxes): void {
  abortMailboxes(mailboxes);
  startCancellations(mailboxes, startCancellation);
}
