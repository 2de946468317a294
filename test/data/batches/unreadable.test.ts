import assert from 'node:assert/strict';
import test from 'node:test';
import { createSlot, floatLayout, slotViews } from '../../../src/data/batches/slots.js';
import { closeHoles } from '../../../src/data/batches/unreadable.js';

test('closeHoles() keeps every readable image once, with its label', () => {
  const batchSize = 6;
  const layout = floatLayout(batchSize, 2, 1);
  const slot = createSlot(layout);
  const { images, labels } = slotViews(slot, layout);
  for (const count of [5, 6]) {
    for (let missing = 0; missing < 2 ** count; missing++) {
      const places = Array.from({ length: count }, (_, i) => i);
      const holes = places.filter((i) => missing & (1 << i));
      for (const i of places) {
        const value = holes.includes(i) ? -1 : i;
        images.fill(value, 4 * i, 4 * i + 4);
        labels[i] = value;
      }
      const left = closeHoles(slot, layout, count, holes);
      assert.equal(left, count - holes.length);
      const found = [...labels.subarray(0, left)];
      assert.deepEqual(
        [...images.subarray(0, 4 * left)],
        found.flatMap((label) => [label, label, label, label]),
      );
      assert.deepEqual(
        found.sort(),
        places.filter((i) => !holes.includes(i)),
        `holes ${holes}`,
      );
    }
  }
});
