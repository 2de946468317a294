import assert from 'node:assert/strict';
import test from 'node:test';
import { Packr, unpack } from 'msgpackr';
import { ExchangeError } from '../../src/errors.js';
import { checkHeader, decode, encode, type Header, PREFIX_BYTES, payloadBytes } from '../../src/exchange/codec.js';

const HEADER: Header = {
  seq: 3,
  step: 70_000,
  site: 'conv3',
  direction: 'backward',
  dtype: 'float32',
  shape: [2, 3, 5],
};

/** A message with the values 0.5, 1.5, … in shared memory, as in a mailbox. */
function messageOf(header: Header): { message: Uint8Array; start: number } {
  const slot = new Uint8Array(new SharedArrayBuffer(4096 + PREFIX_BYTES + payloadBytes(header)), 4096);
  const start = encode(header, slot);
  const message = slot.subarray(0, start + payloadBytes(header));
  floatsOf(message.subarray(start)).forEach((_, i, values) => {
    values[i] = i + 0.5;
  });
  return { message, start };
}

function floatsOf(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

test('encode() makes one MessagePack message that any reader can read', () => {
  const { message } = messageOf(HEADER);
  const [{ pad, ...header }, values] = unpack(Buffer.from(message));
  assert.deepEqual(header, HEADER);
  assert.ok(pad instanceof Uint8Array && pad.every((byte) => byte === 0));
  assert.deepEqual(
    new Float32Array(new Uint8Array(values).buffer),
    Float32Array.from({ length: 30 }, (_, i) => i + 0.5),
  );
});

test('encode() aligns the values to 64 bytes, whatever the header', () => {
  const sites = [...Array.from({ length: 70 }, (_, i) => 's'.repeat(i + 1)), 'größe', 'x'.repeat(300)];
  const shapes = [[], [1], [127, 1], [128, 2], [3, 256, 1], [1, 1, 1, 70_000], [0, 4]];
  for (const site of sites) {
    for (const shape of shapes) {
      const header = { ...HEADER, site, shape };
      const { message, start } = messageOf(header);
      assert.equal(start % 64, 0, `${site} [${shape}]`);
      assert.ok(start <= PREFIX_BYTES);
      const { header: found, payload } = decode(message);
      checkHeader(found, header, 0);
      // The values are where they lie, not a copy.
      assert.equal(payload.length === 0 || payload.buffer === message.buffer, true);
      assert.equal(payload.length === 0 || payload.byteOffset === message.byteOffset + start, true);
      assert.equal(payload.length, payloadBytes(header));
    }
  }
});

test('encode() keeps its alignment as the numbers of the header grow', () => {
  for (const number of [1, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 40]) {
    const header = { ...HEADER, seq: number, step: number };
    const { message, start } = messageOf(header);
    assert.equal(start % 64, 0);
    checkHeader(decode(message).header, header, 1);
  }
});

test('encode() makes a message without values for a tensor of the device transport', () => {
  const header: Header = { ...HEADER, dtype: 'device', shape: [32, 13, 13, 128] };
  const slot = new Uint8Array(PREFIX_BYTES);
  const end = encode(header, slot);
  const { header: found, payload } = decode(slot.subarray(0, end));
  checkHeader(found, header, 0);
  assert.deepEqual([found.shape, payload.length], [header.shape, 0]);
  assert.throws(() => checkHeader(found, { ...header, dtype: 'float32' }, 0), /float32\) and got .*device\)/);
});

test('encode() refuses a slot that is too short and does not change it', () => {
  for (const length of [0, 10, 100, 128 + payloadBytes(HEADER) - 1]) {
    const slot = new Uint8Array(length);
    assert.throws(() => encode(HEADER, slot), RangeError);
    assert.ok(slot.every((byte) => byte === 0));
  }
});

test('decode() refuses what is not a message', () => {
  const packr = new Packr({ useRecords: false });
  const values = new Uint8Array(120);
  const { message } = messageOf(HEADER);
  const extra = new Uint8Array(message.length + 1);
  extra.set(message);
  const cases: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /./],
    ['a truncated message', message.slice(0, -1), /./],
    ['bytes after it', extra, /./],
    ['a map', packr.pack({ header: HEADER }), /not an array of a header and values/],
    ['three parts', packr.pack([HEADER, values, 1]), /not an array of a header and values/],
    ['values that are no bin', packr.pack([HEADER, [1, 2]]), /not an array of a header and values/],
    ['no header', packr.pack([null, values]), /no shape or dtype/],
    ['no shape', packr.pack([{ ...HEADER, shape: 30 }, values]), /no shape or dtype/],
    ['another dtype', packr.pack([{ ...HEADER, dtype: 'float64' }, values]), /no shape or dtype/],
    ['too few values', packr.pack([HEADER, values.subarray(4)]), /116 bytes of values, and \[2,3,5\] takes 120/],
  ];
  for (const [what, bytes, text] of cases) assert.throws(() => decode(bytes), text, what);
});

test('checkHeader() names both messages when one field differs', () => {
  const others: Partial<Header>[] = [
    { seq: 4 },
    { step: 70_001 },
    { site: 'fc6' },
    { direction: 'forward' },
    { shape: [2, 3, 6] },
    { shape: [2, 15] },
    { dtype: 'float16' },
  ];
  checkHeader({ ...HEADER, shape: [...HEADER.shape] }, HEADER, 1);
  for (const other of others) {
    assert.throws(
      () => checkHeader({ ...HEADER, ...other }, HEADER, 1),
      (error: ExchangeError) => {
        assert.ok(error instanceof ExchangeError);
        assert.deepEqual([error.tower, error.site, error.step], [1, 'conv3', 70_000]);
        const { seq, step, site, direction, dtype, shape } = { ...HEADER, ...other };
        assert.ok(
          error.message.includes('tower 1 expected message 3 (backward at conv3, step 70000, [2,3,5], float32)'),
        );
        assert.ok(
          error.message.includes(`got message ${seq} (${direction} at ${site}, step ${step}, [${shape}], ${dtype})`),
        );
        return true;
      },
    );
  }
});
