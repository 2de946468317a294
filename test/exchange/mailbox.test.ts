import assert from 'node:assert/strict';
import { once } from 'node:events';
import test from 'node:test';
import { Worker } from 'node:worker_threads';
import { ConfigError, ExchangeError } from '../../src/errors.js';
import { abortMailboxes, createMailboxes, isAborted, Mailbox, type Mailboxes } from '../../src/exchange/mailbox.js';

const FORWARD = { site: 'conv3', step: 12, direction: 'forward' } as const;
const BACKWARD = { ...FORWARD, direction: 'backward' } as const;

/** Writes one number as a message. */
function sendNumber(mailbox: Mailbox, value: number): void {
  mailbox.send(FORWARD, (slot) => {
    slot[0] = value;
    return 1;
  });
}

function receiveNumber(mailbox: Mailbox): number {
  return mailbox.receive(FORWARD, (message) => {
    assert.equal(message.length, 1);
    return message[0]!;
  });
}

function startThread(file: string, workerData: { mailboxes: Mailboxes; [name: string]: unknown }): Worker {
  return new Worker(new URL(`./${file}`, import.meta.url), { workerData });
}

/** Asserts that it is the error of a wait in vain, and returns its message. */
function failureOf(action: () => unknown, tower: number): string {
  let message = '';
  assert.throws(action, (error: ExchangeError) => {
    assert.ok(error instanceof ExchangeError, String(error));
    assert.deepEqual([error.tower, error.site, error.step], [tower, 'conv3', 12]);
    message = error.message;
    return true;
  });
  return message;
}

test('Mailbox carries 2,000 messages of changing lengths in both directions between two threads, in order', async () => {
  const count = 2000;
  const mailboxes = createMailboxes(3000);
  const worker = startThread('echo-worker.js', { mailboxes, count });
  const exited = once(worker, 'exit');
  const mailbox = new Mailbox(mailboxes, 0, 20_000);
  const lengthOf = (i: number) => (i * 7919) % 3000;
  const send = (i: number) =>
    mailbox.send({ ...FORWARD, step: i }, (slot) => {
      slot.subarray(0, lengthOf(i)).fill(i % 251);
      return lengthOf(i);
    });
  // One message ahead: both slots are in use, and both ends wait at times.
  send(1);
  for (let i = 1; i <= count; i++) {
    if (i < count) send(i + 1);
    mailbox.receive({ ...BACKWARD, step: i }, (message) => {
      assert.equal(message.length, lengthOf(i));
      assert.ok(message.every((byte) => byte === ((i % 251) ^ 0xff)));
    });
  }
  assert.deepEqual([mailbox.nextSent, mailbox.nextReceived], [count + 1, count + 1]);
  assert.deepEqual(await exited, [0]);
});

test('Mailbox.send() waits while two messages are unread, and continues when one is read', () => {
  const mailboxes = createMailboxes(10);
  const [sender, receiver] = [new Mailbox(mailboxes, 0, 50), new Mailbox(mailboxes, 1, 50)];
  sendNumber(sender, 1);
  sendNumber(sender, 2);
  let wrote = false;
  const third = () =>
    sender.send(FORWARD, () => {
      wrote = true;
      return 1;
    });
  assert.match(failureOf(third, 0), /tower 1 did not respond/);
  assert.equal(wrote, false);
  assert.equal(receiveNumber(receiver), 1);
  sendNumber(sender, 3);
  assert.deepEqual([receiveNumber(receiver), receiveNumber(receiver)], [2, 3]);
});

test('Mailbox does not mix the two directions', () => {
  const mailboxes = createMailboxes(10);
  const [a, b] = [new Mailbox(mailboxes, 0, 50), new Mailbox(mailboxes, 1, 50)];
  sendNumber(a, 1);
  sendNumber(b, 2);
  assert.deepEqual([receiveNumber(a), receiveNumber(b)], [2, 1]);
  assert.deepEqual([a.nextSent, a.nextReceived, b.nextSent, b.nextReceived], [2, 2, 2, 2]);
});

test('Mailbox.receive() gives up at its deadline, and says where, when, who and for how long', () => {
  const mailbox = new Mailbox(createMailboxes(10), 1, 50);
  const message = failureOf(() => mailbox.receive(BACKWARD, () => 0), 1);
  assert.equal(
    message,
    'Cannot exchange at conv3 (backward, step 12) in tower 1: tower 0 did not respond for 0.05 s; a larger exchangeTimeoutMs in the config gives it longer',
  );
  const second = new Mailbox(createMailboxes(10), 1, 50, ['tower 0 of pair 1', 'tower 1 of pair 1']);
  assert.match(
    failureOf(() => second.receive(BACKWARD, () => 0), 1),
    /in tower 1 of pair 1: tower 0 of pair 1 did not respond/,
  );
});

test('Mailbox counts the time of every wait, also of one that fails', () => {
  const mailbox = new Mailbox(createMailboxes(10), 0, 50);
  assert.equal(mailbox.waitMs, 0);
  failureOf(() => mailbox.receive(FORWARD, () => 0), 0);
  assert.ok(mailbox.waitMs > 0);
});

test('Mailbox.receive() keeps a message whose reader fails', () => {
  const mailboxes = createMailboxes(10);
  const [sender, receiver] = [new Mailbox(mailboxes, 0, 50), new Mailbox(mailboxes, 1, 50)];
  sendNumber(sender, 9);
  const fail = () => {
    throw new Error('unreadable');
  };
  assert.throws(() => receiver.receive(FORWARD, fail), /unreadable/);
  assert.equal(receiveNumber(receiver), 9);
});

for (const how of ['receive', 'send'] as const) {
  test(`abortMailboxes() ends a ${how} that waits in another thread`, async () => {
    const mailboxes = createMailboxes(10);
    const worker = startThread('wait-worker.js', { mailboxes, how });
    assert.deepEqual(await once(worker, 'message'), ['waiting']);
    abortMailboxes(mailboxes);
    const [ended] = await once(worker, 'message');
    assert.match(
      ended,
      /^ExchangeError: Cannot exchange at fc6 \(forward, step 4\) in tower 1: the other tower stopped;/,
    );
  });
}

test('abortMailboxes() before the wait ends it too, even if there is a message', () => {
  const mailboxes = createMailboxes(10);
  const [sender, receiver] = [new Mailbox(mailboxes, 0, 60_000), new Mailbox(mailboxes, 1, 60_000)];
  sendNumber(sender, 1);
  assert.equal(isAborted(mailboxes), false);
  abortMailboxes(mailboxes);
  assert.equal(isAborted(mailboxes), true);
  assert.match(
    failureOf(() => receiver.receive(FORWARD, () => 0), 1),
    /the other tower stopped/,
  );
  assert.match(
    failureOf(() => sender.send(FORWARD, () => 0), 0),
    /the other tower stopped/,
  );
});

test('createMailboxes() rounds slots up to pages and starts them at the given offset', () => {
  const mailboxes = createMailboxes(5000, () => 48);
  assert.equal(mailboxes.slotBytes, 8192);
  const [sender, receiver] = [new Mailbox(mailboxes, 0, 50), new Mailbox(mailboxes, 1, 50)];
  const begins: number[] = [];
  for (let i = 0; i < 3; i++) {
    sender.send(FORWARD, ({ byteOffset, length }) => {
      begins.push(byteOffset);
      return length;
    });
    receiver.receive(FORWARD, ({ byteOffset, length }) =>
      assert.deepEqual([byteOffset, length], [begins.at(-1), 8192]),
    );
  }
  assert.deepEqual(begins, [48, 48 + 8192, 48]);
});

test('createMailboxes() refuses messages whose length does not fit a word, before it allocates memory', () => {
  for (const bytes of [2 ** 31 - 4095, 2 ** 31, 5e9]) {
    assert.throws(
      () => createMailboxes(bytes),
      (error: ConfigError) => {
        assert.ok(error instanceof ConfigError);
        assert.match(
          error.message,
          new RegExp(
            `^Cannot exchange messages of ${bytes} bytes: expected 2147479552 at most, .*smaller --batch-size`,
          ),
        );
        return true;
      },
    );
  }
});

test('createMailboxes() throws a ConfigError if there is no memory', (t) => {
  const real = globalThis.SharedArrayBuffer;
  t.after(() => {
    globalThis.SharedArrayBuffer = real;
  });
  globalThis.SharedArrayBuffer = function refuse() {
    throw new RangeError('Array buffer allocation failed');
  } as unknown as SharedArrayBufferConstructor;
  assert.throws(() => createMailboxes(2 ** 31 - 4096), {
    name: 'ConfigError',
    message:
      'Cannot hold the messages between the towers in memory: they take 8589918208 bytes, expected that much to be free; choose a smaller --batch-size or --width',
  });
});

test('Mailbox works when the numbers of its messages wrap around', () => {
  const mailboxes = createMailboxes(8);
  // As after so many messages.
  for (const { words } of mailboxes.boxes) new Int32Array(words).fill(2 ** 31 - 3, 0, 2);
  const [sender, receiver] = [new Mailbox(mailboxes, 0, 200), new Mailbox(mailboxes, 1, 200)];
  const numbers: number[] = [];
  const send = (value: number) => {
    numbers.push(sender.nextSent);
    sendNumber(sender, value);
  };
  send(0);
  for (let i = 1; i < 10; i++) {
    send(i);
    assert.equal(receiver.nextReceived, numbers[i - 1]);
    assert.equal(receiveNumber(receiver), i - 1);
  }
  assert.equal(receiveNumber(receiver), 9);
  assert.throws(() => receiveNumber(receiver), /did not respond/);
});
