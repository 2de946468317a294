/** The other end of the mailboxes, for tests: returns every message, changed on request, until it has sent `count`. */
import { workerData } from 'node:worker_threads';
import { Mailbox, type Mailboxes } from '../../src/exchange/mailbox.js';

const { mailboxes, count } = workerData as { mailboxes: Mailboxes; count: number };
const mailbox = new Mailbox(mailboxes, 1, 20_000);
for (let i = 1; i <= count; i++) {
  const forward = { site: 'echo', step: i, direction: 'forward' } as const;
  const bytes = mailbox.receive(forward, (message) => message.slice());
  mailbox.send({ ...forward, direction: 'backward' }, (slot) => {
    slot.set(bytes.map((byte) => byte ^ 0xff));
    return bytes.length;
  });
}
