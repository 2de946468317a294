/** Whatever bytes a message has: a header and values that fit one another, or an error. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decode, encode, type Header, payloadBytes } from '../../src/exchange/codec.js';
import { damaged, fuzz } from '../fuzz.js';

const HEADER: Header = { seq: 3, step: 7, site: 'conv3', direction: 'forward', dtype: 'float32', shape: [2, 3] };
const slot = new Uint8Array(1024);
const start = encode(HEADER, slot);
const GOOD = slot.slice(0, start + payloadBytes(HEADER));
const packr = new Packr({ useRecords: false });

const messages = fc.oneof(
  { weight: 3, arbitrary: damaged(GOOD) },
  fc.tuple(fc.jsonValue(), fc.uint8Array({ maxLength: 16 })).map((parts) => Uint8Array.from(packr.pack(parts))),
);

test('decode() reads any message whose values fit its header, and throws an Error for others', async (t) => {
  await fuzz(t, {
    what: 'messages',
    cases: messages,
    usual: 5000,
    read(message) {
      const { header, payload } = decode(message);
      assert.equal(payload.length, payloadBytes(header));
      assert.ok(payload.length <= message.length);
    },
    refuses: (error) => error instanceof Error && !(error instanceof assert.AssertionError),
  });
});
