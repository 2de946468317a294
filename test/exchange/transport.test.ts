import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExchangeError } from '../../src/errors.js';
import { decode } from '../../src/exchange/codec.js';
import { createMailboxes, Mailbox } from '../../src/exchange/mailbox.js';
import {
  type ExchangeSpan,
  msgpackTransport,
  noCosts,
  type Sendable,
  scaleOf,
  slotBytesFor,
  type Transport,
} from '../../src/exchange/transport.js';

const FORWARD = { site: 'conv3', step: 5, direction: 'forward' } as const;

/** Both ends of the mailboxes, in one thread. */
function transports() {
  const memory = createMailboxes(slotBytesFor(400));
  const mailboxes = [new Mailbox(memory, 0, 50), new Mailbox(memory, 1, 50)] as const;
  return { ends: [msgpackTransport(mailboxes[0], 0), msgpackTransport(mailboxes[1], 1)] as const, mailboxes };
}

/** Float32 values as a tensor that is sent. */
function floats(values: readonly number[], shape: readonly number[] = [values.length]): Sendable {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { shape, dtype: 'float32', copyTo: (target) => target.set(bytes) };
}

const zeros = (count: number) => floats(Array(count).fill(0));

const valuesOf = (bytes: Uint8Array) => [...new Float32Array(bytes.slice().buffer)];

/** What an end receives, as numbers. */
function receive(end: Transport, shape: readonly number[], place: Parameters<Transport['receive']>[1] = FORWARD) {
  return end.receive({ shape, dtype: 'float32' }, place, valuesOf);
}

test('msgpackTransport() carries values bit for bit and in order', () => {
  const [a, b] = transports().ends;
  const values = [1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3.4028235e38];
  a.send(floats(values, [2, 3]), FORWARD);
  a.send(floats([7]), { ...FORWARD, direction: 'backward' });
  assert.deepEqual(receive(b, [2, 3]), [...Float32Array.from(values)]);
  assert.deepEqual(receive(b, [1], { ...FORWARD, direction: 'backward' }), [7]);
});

test('msgpackTransport() sends float16 as two bytes a value and refuses another dtype than the expected one', () => {
  const [a, b] = transports().ends;
  const shape = [3, 5];
  const bytes = Uint8Array.from({ length: 30 }, (_, i) => i);
  a.send({ shape, dtype: 'float16', copyTo: (target) => target.set(bytes) }, FORWARD);
  assert.throws(() => receive(b, shape), /expected message 1 .*float32\) and got message 1 .*float16\)/);
  assert.deepEqual(
    b.receive({ shape, dtype: 'float16' }, FORWARD, (found) => [...found]),
    [...bytes],
  );
});

test('scaleOf() is a power of two for gradients as float16, and 1 for all else', () => {
  assert.deepEqual(
    (['float32', 'float16'] as const).map((dtype) =>
      (['forward', 'backward'] as const).map((direction) => scaleOf(dtype, { direction })),
    ),
    [
      [1, 1],
      [1, 4096],
    ],
  );
});

test('takeCosts() counts the bytes that were sent, header and all, and starts again', () => {
  const { ends, mailboxes } = transports();
  const [a, b] = ends;
  a.send(zeros(10), FORWARD);
  a.send(zeros(20), FORWARD);
  let sizes = 0;
  for (let i = 0; i < 2; i++) mailboxes[1].receive(FORWARD, (message) => (sizes += message.length));
  assert.ok(sizes > 120);
  assert.equal(a.takeCosts().bytes, sizes);
  assert.deepEqual(a.takeCosts(), noCosts());
  assert.equal(b.takeCosts().bytes, 0, 'receiving sends nothing');
});

test('takeCosts() has the bytes by cross-connection and direction, also of what went from device to device', () => {
  const [a, b] = transports().ends;
  const backward = { ...FORWARD, direction: 'backward' } as const;
  a.send(zeros(10), FORWARD);
  a.send(zeros(10), backward);
  b.receive({ shape: [10], dtype: 'float32' }, FORWARD, () => {});
  b.receive({ shape: [10], dtype: 'float32' }, backward, () => {});
  a.send({ shape: [50], dtype: 'device', copyTo: () => {} }, { ...FORWARD, site: 'fc6' });
  b.receive({ shape: [50], dtype: 'device' }, { ...FORWARD, site: 'fc6' }, () => {});
  a.send(zeros(10), FORWARD);
  const { bytes, sent } = a.takeCosts();
  assert.deepEqual(
    sent.map(({ site, direction }) => `${site} ${direction}`),
    ['conv3 forward', 'conv3 backward', 'fc6 forward'],
  );
  const [twice, once, device] = sent.map((each) => each.bytes);
  assert.equal(twice! + once! + device!, bytes);
  assert.ok(once! > 40 && once! < 40 + 256 && twice! > 80 && twice! < 80 + 512, `${once} and ${twice}`);
  assert.ok(device! > 200 && device! < 200 + 256, `${device}`);
});

test('takeCosts() does not count waiting as exchange, even if the wait fails', (t) => {
  // A mailbox that reports a wait of one second per call, with a clock that advances by 1.5 seconds.
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
  const transport = msgpackTransport(mailbox as unknown as Mailbox, 0);
  transport.send(zeros(2), FORWARD);
  const { exchangeMs, waitMs } = transport.takeCosts();
  assert.deepEqual([exchangeMs, waitMs], [500, 1000]);
  assert.throws(() => receive(transport, [2]), /in vain/);
  transport.send(zeros(2), FORWARD);
  const both = transport.takeCosts();
  assert.deepEqual([both.exchangeMs, both.waitMs], [1000, 2000]);
});

test('watch receives what an end did when, and what takeCosts() counts is the sum of it', (t) => {
  const [a, b] = transports().ends;
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const spans: ExchangeSpan[] = [];
  for (const end of [a, b]) end.watch = (span) => void spans.push(span);
  const copyTo = () => {
    now += 3;
  };
  a.send({ shape: [4], dtype: 'float32', copyTo }, FORWARD);
  b.receive({ shape: [4], dtype: 'float32' }, FORWARD, () => {
    now += 5; // what is done with the message is no exchange
  });
  const { bytes } = a.takeCosts();
  assert.deepEqual(
    spans.map(({ part, action, start, end, bytes }) => [action, part, start, end, bytes]),
    [
      ['send', 'wait', 0, 0, 0],
      ['send', 'exchange', 0, 3, bytes],
      ['receive', 'wait', 3, 3, 0],
      ['receive', 'exchange', 3, 3, bytes],
    ],
  );
  assert.deepEqual(spans[0]!.place, FORWARD);
  assert.equal(b.takeCosts().exchangeMs, 0);
  a.watch = undefined;
  a.send(zeros(4), FORWARD);
  assert.equal(spans.length, 4);
});

test('receive() gives access to the message in place, intact while it is used, however much is sent', () => {
  const { ends, mailboxes } = transports();
  ends[0].send(floats([1, 2]), FORWARD);
  const found = ends[1].receive({ shape: [2], dtype: 'float32' }, FORWARD, (bytes) => {
    ends[0].send(floats([3, 4]), FORWARD);
    assert.throws(() => ends[0].send(floats([5, 6]), FORWARD), ExchangeError, 'no slot is free');
    assert.equal(bytes.buffer instanceof SharedArrayBuffer, true);
    return valuesOf(bytes);
  });
  assert.deepEqual(found, [1, 2]);
  ends[0].send(floats([7, 8]), FORWARD); // the slot was given back
  assert.deepEqual(receive(ends[1], [2]), [3, 4]);
  assert.deepEqual([receive(ends[1], [2]), mailboxes[1].nextReceived], [[7, 8], 4]);
});

test('receive() keeps the message if its use throws', () => {
  const { ends } = transports();
  ends[0].send(floats([1, 2]), FORWARD);
  const fail = () => {
    throw new Error('no memory');
  };
  assert.throws(() => ends[1].receive({ shape: [2], dtype: 'float32' }, FORWARD, fail), /no memory/);
  assert.deepEqual(receive(ends[1], [2]), [1, 2]);
});

test('receive() refuses a message before it is used', () => {
  const { ends, mailboxes } = transports();
  for (const end of ends) end.checksums = true;
  const send = mailboxes[0].send.bind(mailboxes[0]);
  mailboxes[0].send = (place, write) =>
    send(place, (slot) => {
      const length = write(slot);
      slot[length - 1]! ^= 1;
      return length;
    });
  ends[0].send(floats([1, 2]), FORWARD);
  const use = () => assert.fail('it is used');
  const refused = (shape: number[]) => () => ends[1].receive({ shape, dtype: 'float32' }, FORWARD, use);
  assert.throws(refused([3]), /run different steps or nets/);
  assert.throws(refused([2]), /the values are not those/);
});

test('receive() counts the time before the use as exchange, but not the use', (t) => {
  const { ends, mailboxes } = transports();
  ends[0].send(zeros(2), FORWARD);
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const next = mailboxes[1].receive.bind(mailboxes[1]);
  t.mock.method(mailboxes[1], 'receive', (place: never, read: (message: Uint8Array) => unknown) =>
    next(place, (message) => {
      now += 1000; // as if opening it took so long
      return read(message);
    }),
  );
  ends[1].receive({ shape: [2], dtype: 'float32' }, FORWARD, () => {
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
    a.send(zeros(2), FORWARD);
    assert.throws(
      () => receive(b, shape, place),
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
    () => receive(ends[1], [2]),
    (error: ExchangeError) => {
      assert.ok(error instanceof ExchangeError);
      assert.match(error.message, /^Cannot read the message for conv3 at step 5 in tower 1: .+; the towers' versions/);
      return true;
    },
  );
});

test('slotBytesFor() fits every message of that many bytes of values', () => {
  const mailboxes = createMailboxes(slotBytesFor(4 * 100_000));
  const transport = msgpackTransport(new Mailbox(mailboxes, 0, 50), 0);
  transport.send(zeros(100_000), { site: 'a'.repeat(100), step: 2 ** 50, direction: 'backward' });
  assert.ok(transport.takeCosts().bytes <= mailboxes.slotBytes);
});

/** Receives at tower 1 what tower 0 sends, whose message was changed on the way. */
function received(change: (message: Uint8Array) => void, checksums: boolean): number[] {
  const { ends, mailboxes } = transports();
  for (const end of ends) end.checksums = checksums;
  const send = mailboxes[0].send.bind(mailboxes[0]);
  mailboxes[0].send = (place, write) =>
    send(place, (slot) => {
      const length = write(slot);
      change(slot.subarray(0, length));
      return length;
    });
  ends[0].send(floats([1, -2, 3.5, 4, 5, 6], [2, 3]), FORWARD);
  return receive(ends[1], [2, 3]);
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

test('receive() with a checksum detects every flipped bit of values and checksum and names tower and place', () => {
  const { length, values, sum } = partsOf(true);
  assert.ok(sum > 0 && values > sum && length === values + 24);
  assert.deepEqual(
    received(() => {}, true),
    [1, -2, 3.5, 4, 5, 6],
    'an intact message passes',
  );
  const bits = Array.from({ length: 8 * length }, (_, bit) => bit);
  for (const bit of bits.filter((each) => each >> 3 >= values || (each >> 3 >= sum && each >> 3 < sum + 4))) {
    assert.throws(
      () => received(flip(bit), true),
      (error) =>
        error instanceof ExchangeError &&
        error.message.startsWith(
          'Cannot continue at conv3 (forward, step 5) in tower 1: the values are not those that tower 0',
        ) &&
        error.tower === 1 &&
        error.step === 5,
      `bit ${bit}`,
    );
  }
});

test('receive() refuses every flipped bit of a header except in its padding', () => {
  const { values } = partsOf(true);
  const taken: number[] = [];
  for (let bit = 0; bit < 8 * values; bit++) {
    try {
      const found = received(flip(bit), true);
      assert.deepEqual(found, [1, -2, 3.5, 4, 5, 6], `bit ${bit}`);
      taken.push(bit >> 3);
    } catch (error) {
      if (!(error instanceof ExchangeError)) throw error;
    }
  }
  // The zeros of `pad`, and the letters of a name that nobody reads, change nothing.
  const pad = new Set(taken);
  assert.ok(pad.size < 64 + 4, `${[...pad]}`);
});

test('receive() without a checksum accepts values with a flipped bit, and such messages contain no checksum', () => {
  const { length, values, sum } = partsOf(false);
  assert.ok(sum === -1 && length < partsOf(true).length + 64);
  const found = received(flip(8 * (values + 3) + 7), false);
  assert.deepEqual(found, [-1, -2, 3.5, 4, 5, 6]);
});

test('receive() refuses a message without an expected checksum, and one with an unexpected checksum', () => {
  for (const [mine, theirs] of [
    [true, false],
    [false, true],
  ] as const) {
    const [a, b] = transports().ends;
    [a.checksums, b.checksums] = [mine, theirs];
    a.send(zeros(2), FORWARD);
    assert.throws(() => receive(b, [2]), ExchangeError);
  }
});
