import assert from 'node:assert/strict';
import test from 'node:test';
import { slotBytes, slotViews } from '../../../src/data/batches/slots.js';
import { closeHoles } from '../../../src/data/batches/unreadable.js';
import { IMAGENET_COLOURS } from '../../../src/data/images/colours.js';
import { PLAIN, smallDataset } from '../sets.js';

test('closeHoles() keeps every readable image once, with its label', () => {
  const batchSize = 6;
  const slots = [new SharedArrayBuffer(slotBytes(batchSize, 2, 1))];
  const setup = {
    ...{ dataset: smallDataset(6, 6), batchSize, inputSize: 2, inputChannels: 1, seed: 1 },
    ...{ data: PLAIN, colours: IMAGENET_COLOURS, slots },
  };
  const { images, labels } = slotViews(slots[0]!, batchSize, 2, 1);
  for (const count of [5, 6]) {
    for (let missing = 0; missing < 2 ** count; missing++) {
      const places = Array.from({ length: count }, (_, i) => i);
      const holes = places.filter((i) => missing & (1 << i));
      for (const i of places) {
        const value = holes.includes(i) ? -1 : i;
        images.fill(value, 4 * i, 4 * i + 4);
        labels[i] = value;
      }
      const left = closeHoles(setup, 0, count, holes);
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
