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

/** A port whose views lie in the message, as they do on a CPU; what it made is `views`. */
function viewingPort() {
  const views: tf.Tensor[] = [];
  const bytesOf = new Map<tf.Tensor, Uint8Array>();
  const port: TensorPort = {
    ...TFJS_PORT,
    view(shape, bytes) {
      const view = tf.zeros([...shape]);
      views.push(view);
      bytesOf.set(view, bytes);
      return view;
    },
  };
  const valuesOf = (tensor: tf.Tensor) => {
    const { buffer, byteOffset, length } = bytesOf.get(tensor)!;
    return [...new Float32Array(buffer, byteOffset, length / 4)];
  };
  return { port, views, valuesOf };
}

test('receiveFor() lends the message where it lies, whole until it is computed with, however much is sent', () => {
  const { port, views, valuesOf } = viewingPort();
  const { ends, mailboxes } = transports(port);
  ends[0].send(tf.tensor1d([1, 2]), FORWARD);
  const found = ends[1].receiveFor([2], FORWARD, (tensor) => {
    ends[0].send(tf.tensor1d([3, 4]), FORWARD);
    assert.throws(() => ends[0].send(tf.tensor1d([5, 6]), FORWARD), ExchangeError, 'no slot is free');
    assert.equal(views[0]!.isDisposed, false);
    return valuesOf(tensor);
  });
  assert.deepEqual([found, views[0]!.isDisposed], [[1, 2], true]);
  ends[0].send(tf.tensor1d([7, 8]), FORWARD); // the slot was given back
  assert.deepEqual(ends[1].receiveFor([2], FORWARD, valuesOf), [3, 4]);
  assert.deepEqual([ends[1].receiveFor([2], FORWARD, valuesOf), mailboxes[1].nextReceived], [[7, 8], 4]);
});

test('receiveFor() leaves no tensor when what is computed fails, and the message stays', () => {
  const { port, views, valuesOf } = viewingPort();
  const { ends } = transports(port);
  ends[0].send(tf.tensor1d([1, 2]), FORWARD);
  const fail = () => {
    throw new Error('no memory');
  };
  assert.throws(() => ends[1].receiveFor([2], FORWARD, fail), /no memory/);
  assert.equal(views[0]!.isDisposed, true);
  assert.deepEqual(ends[1].receiveFor([2], FORWARD, valuesOf), [1, 2]);
});

test('receiveFor() refuses what receive() refuses, and makes no tensor of it', () => {
  const { port, views } = viewingPort();
  const { ends, mailboxes } = transports(port);
  for (const end of ends) end.checksums = true;
  const send = mailboxes[0].send.bind(mailboxes[0]);
  mailboxes[0].send = (place, write) =>
    send(place, (slot) => {
      const length = write(slot);
      slot[length - 1]! ^= 1;
      return length;
    });
  ends[0].send(tf.tensor1d([1, 2]), FORWARD);
  const compute = () => assert.fail('it is computed with');
  assert.throws(() => ends[1].receiveFor([3], FORWARD, compute), /run different steps or nets/);
  assert.throws(() => ends[1].receiveFor([2], FORWARD, compute), /the values are not those/);
  assert.equal(views.length, 0);
});

test('receiveFor() counts as exchange what comes before the computing, and not that', (t) => {
  const { ends, mailboxes } = transports();
  ends[0].send(tf.zeros([2]), FORWARD);
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const receive = mailboxes[1].receive.bind(mailboxes[1]);
  t.mock.method(mailboxes[1], 'receive', (place: never, read: (message: Uint8Array) => unknown) =>
    receive(place, (message) => {
      now += 1000; // as if opening it took so long
      return read(message);
    }),
  );
  ends[1].receiveFor([2], FORWARD, () => {
    now += 5000;
  });
  assert.equal(ends[1].takeCosts().exchangeMs, 1000);
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

/** Receives at tower 1 what tower 0 sends, whose message was changed on the way. */
function received(change: (message: Uint8Array) => void, checksums: boolean): tf.Tensor {
  const { ends, mailboxes } = transports();
  for (const end of ends) end.checksums = checksums;
  const send = mailboxes[0].send.bind(mailboxes[0]);
  mailboxes[0].send = (place, write) =>
    send(place, (slot) => {
      const length = write(slot);
      change(slot.subarray(0, length));
      return length;
    });
  ends[0].send(tf.tensor2d([1, -2, 3.5, 4, 5, 6], [2, 3]), FORWARD);
  return ends[1].receive([2, 3], FORWARD);
}

/** Where a message of ours has its values, and its checksum. */
function partsOf(checksums: boolean): { length: number; values: number; sum: number } {
  let parts = { length: 0, values: 0, sum: 0 };
  received((message) => {
    const { header, payload } = decode(message);
    const sum = header.sum ? Buffer.from(message).indexOf(header.sum) : -1;
    parts = { length: message.length, values: payload.byteOffset - message.byteOffset, sum };
  }, checksums);
  return parts;
}

const flip = (bit: number) => (message: Uint8Array) => {
  message[bit >> 3]! ^= 1 << (bit & 7);
};

test('receive() with a checksum tells every flipped bit of the values and of the checksum, by who and where', () => {
  const { length, values, sum } = partsOf(true);
  assert.ok(sum > 0 && values > sum && length === values + 24);
  assert.deepEqual([...received(() => {}, true).dataSync()], [1, -2, 3.5, 4, 5, 6], 'an intact message passes');
  const bits = Array.from({ length: 8 * length }, (_, bit) => bit);
  for (const bit of bits.filter((each) => each >> 3 >= values || (each >> 3 >= sum && each >> 3 < sum + 4))) {
    assert.throws(
      () => received(flip(bit), true),
      (error) =>
        error instanceof ExchangeError &&
        error.message.startsWith(
          'Cannot go on at conv3 (forward, step 5) in tower 1: the values are not those that tower 0',
        ) &&
        error.tower === 1 &&
        error.step === 5,
      `bit ${bit}`,
    );
  }
});

test('receive() takes no flipped bit of a header but in what fills it up', () => {
  const { values } = partsOf(true);
  const taken: number[] = [];
  for (let bit = 0; bit < 8 * values; bit++) {
    try {
      const found = received(flip(bit), true);
      assert.deepEqual([...found.dataSync()], [1, -2, 3.5, 4, 5, 6], `bit ${bit}`);
      taken.push(bit >> 3);
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
    }
  }
  // The zeros of `pad`, and the letters of a name that nobody reads, change nothing.
  const pad = new Set(taken);
  assert.ok(pad.size < 64 + 4, `${[...pad]}`);
});

test('receive() without a checksum takes values with a flipped bit, and sends none', () => {
  const { length, values, sum } = partsOf(false);
  assert.ok(sum === -1 && length < partsOf(true).length + 64);
  const found = received(flip(8 * (values + 3) + 7), false);
  assert.deepEqual([...found.dataSync()], [-1, -2, 3.5, 4, 5, 6]);
});

test('receive() refuses a message without a checksum where one is expected, and the other way round', () => {
  for (const [mine, theirs] of [
    [true, false],
    [false, true],
  ] as const) {
    const [a, b] = transports().ends;
    [a.checksums, b.checksums] = [mine, theirs];
    a.send(tf.zeros([2]), FORWARD);
    assert.throws(() => b.receive([2], FORWARD), ExchangeError);
  }
});
