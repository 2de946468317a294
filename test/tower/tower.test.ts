/** A tower in this thread. */
import assert from 'node:assert/strict';
import { mock, type TestContext, test } from 'node:test';
import { createSlot, floatLayout, type SlotLayout, slotViews } from '../../src/data/index.js';
import { currentBinding } from '../../src/native/binding/backend.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { ONLY } from '../../src/tower/replica.js';
import { Tower } from '../../src/tower/tower.js';
import { smallConfig, smallNet } from '../equivalence/teams.js';

const { net, optimizer, seed, batchSize, exchange, exchangeTimeoutMs, compile } = smallConfig(smallNet('lenet'));

function towerOf(t: TestContext, layout: SlotLayout): Tower {
  const slot = createSlot(layout, bytesToAlignment);
  slotViews(slot, layout).images.fill(1);
  const tower = new Tower({
    ...{
      part: 'whole',
      replica: ONLY,
      device: 'CPU:0',
      context: {},
      ops: 'native',
      convolutions: 'auto',
      slots: [slot],
      layout,
    },
    ...{ net, optimizer, seed, batchSize, exchangeTimeoutMs, compile, exchange },
  });
  t.after(() => tower.close());
  return tower;
}

const FLOATS = floatLayout(batchSize, net.inputSize, net.inputChannels);
const BYTES = { ...FLOATS, normalization: { inputChannels: 1, mean: [3], scale: 0.1, noise: false } };

for (const [what, layout, copiesOfKept] of [
  ['images that are the input', FLOATS, 1],
  ['grey levels', BYTES, 0],
] as const) {
  test(`step uses ${what} in place, and copies them ${copiesOfKept} times if tensors are kept after it`, (t) => {
    const tower = towerOf(t, layout);
    const made = mock.method(currentBinding(), 'createTensor');
    t.after(() => made.mock.restore());
    for (const keep of [false, true]) {
      made.mock.resetCalls();
      const rate = { learningRate: 0.01, epoch: 1 };
      tower.step({ kind: 'step', slot: 0, count: batchSize, step: 1, ...rate, update: true, keep });
      const copies = made.mock.calls.filter(({ arguments: [shape] }) => shape.length === 4 && shape[0] === batchSize);
      assert.equal(copies.length, keep ? copiesOfKept : 0);
    }
  });
}
