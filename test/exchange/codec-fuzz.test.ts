/** Whatever bytes a message has: a header and values that fit one another, or an error. */
import test from 'node:test';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decode, encode, type Header, payloadBytes } from '../../src/exchange/codec.js';

const HEADER: Header = { seq: 3, step: 7, site: 'conv3', direction: 'forward', dtype: 'float32', shape: [2, 3] };
const slot = new Uint8Array(1024);
const start = encode(HEADER, slot);
const GOOD = slot.slice(0, start + payloadBytes(HEADER));
const packr = new Packr({ useRecords: false });
const RUNS = 5000;

const messages = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.tuple(fc.jsonValue(), fc.uint8Array({ maxLength: 16 })).map((parts) => Uint8Array.from(packr.pack(parts))),
  fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }).map((changes) => {
    const bytes = GOOD.slice();
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    return bytes;
  }),
  fc.nat({ max: GOOD.length }).map((length) => GOOD.subarray(0, length)),
);

test('decode() reads any message whose values fit its header, and throws an Error for others', (t) => {
  let [read, refused, longestMs] = [0, 0, 0];
  fc.assert(
    fc.property(messages, (message) => {
      const begun = performance.now();
      try {
        const { header, payload } = decode(message);
        if (payload.length !== payloadBytes(header) || payload.length > message.length) return false;
        read++;
      } catch (error) {
        if (!(error instanceof Error)) return false;
        refused++;
      }
      longestMs = Math.max(longestMs, performance.now() - begun);
      return true;
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(`${RUNS} messages, ${read} read, ${refused} refused, the longest ${longestMs.toFixed(1)} ms`);
});
