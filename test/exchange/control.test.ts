import assert from 'node:assert/strict';
import test from 'node:test';
import { packControl, unpackControl } from '../../src/exchange/control.js';

test('packControl() and unpackControl() keep numbers that JSON loses', () => {
  const message = {
    kind: 'step',
    loss: Number.NaN,
    top: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1, 2 ** 53 - 1, -(2 ** 31)],
    nested: { yes: true, no: false, nothing: null, text: 'größe', bytes: new Uint8Array([1, 2, 3]) },
  };
  const found = unpackControl<typeof message>(packControl(message));
  assert.deepEqual(
    { ...found, nested: { ...found.nested, bytes: [...found.nested.bytes] } },
    {
      ...message,
      nested: { ...message.nested, bytes: [1, 2, 3] },
    },
  );
});

test('unpackControl() gives null and undefined back as what they were', () => {
  assert.equal(unpackControl(packControl(null)), null);
  assert.equal(unpackControl(packControl(undefined)), undefined);
});

test('packControl() gives memory of its own, which a later message does not touch', () => {
  const first = packControl({ kind: 'open' });
  const copy = first.slice();
  const second = packControl({ kind: 'list' });
  assert.equal(first.buffer.byteLength, first.length);
  assert.notEqual(first.buffer, second.buffer);
  assert.deepEqual(first, copy);
  structuredClone(first, { transfer: [first.buffer] });
  assert.deepEqual(unpackControl(second), { kind: 'list' });
});
