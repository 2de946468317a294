import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { ExchangeError } from '../../src/errors.js';
import { decode } from '../../src/exchange/codec.js';
import { createLink, Mailbox } from '../../src/exchange/mailbox.js';
import { deviceTransport, msgpackTransport, slotBytesFor, type TensorPort } from '../../src/exchange/transport.js';
import { TFJS_PORT } from './ports.js';

const FORWARD = { site: 'conv3', step: 5, direction: 'forward' } as const;

before(() => tf.setBackend('cpu'));

/** Both ends of a link, in one thread. */
function transports(port: TensorPort = TFJS_PORT) {
  const link = createLink(slotBytesFor(400));
  const mailboxes = [new Mailbox(link, 0, 50), new Mailbox(link, 1, 50)] as const;
  return {
    ends: [msgpackTransport(mailboxes[0], 0, port), msgpackTransport(mailboxes[1], 1, port)] as const,
    mailboxes,
  };
}

test('msgpackTransport() takes tensors over, bit by bit and in order', () => {
  const [a, b] = transports().ends;
  const values = [1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3.4028235e38];
  a.send(tf.tensor2d(values, [2, 3]), FORWARD);
  a.send(tf.tensor1d([7]), { ...FORWARD, direction: 'backward' });
  const first = b.receive([2, 3], FORWARD);
  assert.deepEqual([first.shape, first.dtype], [[2, 3], 'float32']);
  assert.deepEqual(first.dataSync(), Float32Array.from(values));
  assert.deepEqual([...b.receive([1], { ...FORWARD, direction: 'backward' }).dataSync()], [7]);
});

test('deviceTransport() sends a handle in the place of values, and counts their bytes all the same', () => {
  const { mailboxes } = transports();
  const [a, b] = [deviceTransport(mailboxes[0], 0, TFJS_PORT), deviceTransport(mailboxes[1], 1, TFJS_PORT)];
  a.send(tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), FORWARD);
  assert.deepEqual([...b.receive([2, 3], FORWARD).dataSync()], [1, 2, 3, 4, 5, 6]);
  const { bytes } = a.takeCosts();
  assert.ok(bytes > 6 * 4 && bytes < 6 * 4 + 512);
  a.send(tf.zeros([50]), FORWARD);
  const length = mailboxes[1].receive(FORWARD, (message) => {
    const { header, payload } = decode(message);
    assert.deepEqual([typeof header.handle, payload.length], ['bigint', 0]);
    return message.length;
  });
  assert.ok(length < 200);
});

test('a transport refuses what another kind of transport sends', () => {
  const { mailboxes } = transports();
  msgpackTransport(mailboxes[0], 0, TFJS_PORT).send(tf.zeros([2]), FORWARD);
  const b = deviceTransport(mailboxes[1], 1, TFJS_PORT);
  assert.throws(() => b.receive([2], FORWARD), /expected message 1 .*by device.* and got message 1 .*float32/);
});

test('msgpackTransport() writes float16 as two bytes a value, gradients scaled', () => {
  const { mailboxes } = transports();
  const seen: unknown[] = [];
  const port: TensorPort = {
    ...TFJS_PORT,
    write: (_tensor, bytes, dtype, scale) => seen.push([bytes.length, dtype, scale]),
    read: (shape, bytes, dtype, scale) => {
      seen.push([bytes.length, dtype, scale]);
      return tf.zeros([...shape]);
    },
  };
  const [a, b] = [
    msgpackTransport(mailboxes[0], 0, port, 'float16'),
    msgpackTransport(mailboxes[1], 1, port, 'float16'),
  ];
  for (const direction of ['forward', 'backward'] as const) {
    a.send(tf.zeros([3, 5]), { ...FORWARD, direction });
    b.receive([3, 5], { ...FORWARD, direction });
  }
  assert.deepEqual(seen, [
    [30, 'float16', 1],
    [30, 'float16', 1],
    [30, 'float16', 4096],
    [30, 'float16', 4096],
  ]);
});

test('takeCosts() counts the bytes that were sent, header and all, and starts again', () => {
  const { ends, mailboxes } = transports();
  const [a, b] = ends;
  a.send(tf.zeros([10]), FORWARD);
  a.send(tf.zeros([20]), FORWARD);
  let sizes = 0;
  for (let i = 0; i < 2; i++) mailboxes[1].receive(FORWARD, (message) => (sizes += message.length));
  assert.ok(sizes > 120);
  assert.equal(a.takeCosts().bytes, sizes);
  assert.deepEqual(a.takeCosts(), { exchangeMs: 0, waitMs: 0, bytes: 0 });
  assert.equal(b.takeCosts().bytes, 0, 'receiving sends nothing');
});

test('takeCosts() leaves out what the tensor takes to be computed', () => {
  const calls: string[] = [];
  const { ends } = transports({
    ...TFJS_PORT,
    settle: () => calls.push(`settle ${ends[0].takeCosts().exchangeMs}`),
    write: (...args) => {
      calls.push('write');
      TFJS_PORT.write(...args);
    },
  });
  const [a, b] = ends;
  a.send(tf.zeros([100]), FORWARD);
  assert.deepEqual(calls, ['settle 0', 'write']);
  b.receive([100], FORWARD);
  const received = b.takeCosts();
  assert.ok(received.exchangeMs > 0);
});

test('takeCosts() takes what the mailbox waited off the exchange, also when it waited in vain', (t) => {
  // A mailbox that says it waited a second of each call, on a clock that goes on 1.5 seconds.
  const mailbox = {
    ...{ waitMs: 0, nextSent: 1, nextReceived: 1 },
    send(_place: unknown, write: (slot: Uint8Array) => number) {
      this.waitMs = 1000;
      write(new Uint8Array(1000));
    },
    receive() {
      this.waitMs = 1000;
      throw new Error('in vain');
    },
  };
  let now = 0;
  t.mock.method(performance, 'now', () => {
    now += 1500;
    return now;
  });
  const transport = msgpackTransport(mailbox as unknown as Mailbox, 0, TFJS_PORT);
  transport.send(tf.zeros([2]), FORWARD);
  const { exchangeMs, waitMs } = transport.takeCosts();
  assert.deepEqual([exchangeMs, waitMs], [500, 1000]);
  assert.throws(() => transport.receive([2], FORWARD), /in vain/);
  transport.send(tf.zeros([2]), FORWARD);
  const both = transport.takeCosts();
  assert.deepEqual([both.exchangeMs, both.waitMs], [1000, 2000]);
});

test('receive() refuses a message of another step, place or shape', () => {
  const others = [
    { shape: [2], place: { ...FORWARD, step: 6 } },
    { shape: [2], place: { ...FORWARD, site: 'fc6' } },
    { shape: [2], place: { ...FORWARD, direction: 'backward' as const } },
    { shape: [1, 2], place: FORWARD },
  ];
  for (const { shape, place } of others) {
    const [a, b] = transports().ends;
    a.send(tf.zeros([2]), FORWARD);
    assert.throws(
      () => b.receive(shape, place),
      (error) => error instanceof ExchangeError && /run different steps or nets/.test(error.message),
    );
  }
});

test('receive() names the site, the step and the tower when a message cannot be read', () => {
  const { ends, mailboxes } = transports();
  mailboxes[0].send(FORWARD, (slot) => {
    slot.fill(0xc1, 0, 20); // a byte that MessagePack never uses
    return 20;
  });
  assert.throws(
    () => ends[1].receive([2], FORWARD),
    (error: ExchangeError) => {
      assert.ok(error instanceof ExchangeError);
      assert.match(error.message, /^Cannot read the message for conv3 at step 5 in tower 1: .+; the towers' versions/);
      return true;
    },
  );
});

test('slotBytesFor() fits every message of that many bytes of values', () => {
  const link = createLink(slotBytesFor(4 * 100_000));
  const transport = msgpackTransport(new Mailbox(link, 0, 50), 0, TFJS_PORT);
  transport.send(tf.zeros([100_000]), { site: 'a'.repeat(100), step: 2 ** 50, direction: 'backward' });
  assert.ok(transport.takeCosts().bytes <= link.slotBytes);
});
