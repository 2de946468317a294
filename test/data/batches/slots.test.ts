import assert from 'node:assert/strict';
import test from 'node:test';
import { createSlot, floatLayout, imageBytes, slotBytes, slotViews } from '../../../src/data/batches/slots.js';

const LAYOUT = floatLayout(3, 5, 2);

for (const shift of [0, 4, 60]) {
  test(`createSlot() shifts all values by ${shift} bytes, and every view finds them there`, () => {
    const slot = createSlot(LAYOUT, (memory) => {
      assert.equal(memory.byteLength, slotBytes(LAYOUT));
      return shift;
    });
    const { images, labels } = slotViews(slot, LAYOUT);
    assert.deepEqual([images.length, labels.length, images.byteOffset % 64], [150, 3, shift]);
    images.fill(1);
    labels.set([7, 8, 9]);
    const again = slotViews(slot, LAYOUT);
    assert.ok(again.images.every((value) => value === 1));
    assert.deepEqual([...again.labels], [7, 8, 9]);
  });
}

test('slotViews() of grey levels are bytes, with labels and noise behind them that do not overlap', () => {
  // 3 x 75 bytes: the labels start three bytes later, at a multiple of four.
  const normalization = { inputChannels: 3, mean: [0, 0, 0], scale: 1, noise: true };
  const layout = { batchSize: 3, inputSize: 5, channels: 3, normalization };
  const slot = createSlot(layout, () => 60);
  const { images, labels, noise } = slotViews(slot, layout);
  assert.ok(images instanceof Uint8Array);
  assert.deepEqual([images.length, labels.length, noise?.length, images.byteOffset], [225, 3, 12, 124]);
  images.fill(255);
  noise!.fill(0.5);
  labels.fill(7);
  const again = slotViews(slot, layout);
  assert.ok(again.images.every((value) => value === 255) && again.noise!.every((value) => value === 0.5));
  assert.equal(slotViews(slot, { ...layout, normalization: { ...normalization, noise: false } }).noise, undefined);
  assert.equal(imageBytes(layout), 75 + 16);
});

test('slotViews() finds the values of a slot without alignment', () => {
  const small = floatLayout(2, 3, 1);
  const { images, labels } = slotViews(new SharedArrayBuffer(slotBytes(small)), small);
  assert.deepEqual([images.length, labels.length], [18, 2]);
});
