/** A thread that waits at a mailboxes, for tests: says that it is about to, then with which error the wait ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { Mailbox, type Mailboxes } from '../../src/exchange/mailbox.js';

const { mailboxes, how } = workerData as { mailboxes: Mailboxes; how: 'send' | 'receive' };
const mailbox = new Mailbox(mailboxes, 1, 60_000);
const place = { site: 'fc6', step: 4, direction: 'forward' } as const;
if (how === 'send') for (let i = 0; i < 2; i++) mailbox.send(place, () => 1);
parentPort?.postMessage('waiting');
try {
  if (how === 'send') mailbox.send(place, () => 1);
  else mailbox.receive(place, () => 1);
  parentPort?.postMessage('went on');
} catch (error) {
  parentPort?.postMessage(`${(error as Error).name}: ${(error as Error).message}`);
}
