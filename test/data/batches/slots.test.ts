import assert from 'node:assert/strict';
import test from 'node:test';
import { createSlot, slotBytes, slotViews } from '../../../src/data/batches/slots.js';

for (const shift of [0, 4, 60]) {
  test(`createSlot() shifts all values by ${shift} bytes, and every view finds them there`, () => {
    const slot = createSlot(3, 5, 2, (memory) => {
      assert.equal(memory.byteLength, slotBytes(3, 5, 2));
      return shift;
    });
    const { images, labels } = slotViews(slot, 3, 5, 2);
    assert.deepEqual([images.length, labels.length, images.byteOffset % 64], [150, 3, shift]);
    images.fill(1);
    labels.set([7, 8, 9]);
    const again = slotViews(slot, 3, 5, 2);
    assert.ok(again.images.every((value) => value === 1));
    assert.deepEqual([...again.labels], [7, 8, 9]);
  });
}

test('slotViews() finds the values of a slot without alignment', () => {
  const { images, labels } = slotViews(new SharedArrayBuffer(slotBytes(2, 3, 1)), 2, 3, 1);
  assert.deepEqual([images.length, labels.length], [18, 2]);
});
