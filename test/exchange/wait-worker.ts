/** A thread that waits at a link, for tests: says that it is about to, then with which error the wait ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Link, Mailbox } from '../../src/exchange/mailbox.js';

const { link, how } = workerData as { link: Link; how: 'send' | 'receive' };
const mailbox = new Mailbox(link, 1, 60_000);
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
