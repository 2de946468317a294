/** A tower in this thread. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createSlot, slotViews } from '../../src/data/index.js';
import { currentBinding } from '../../src/native/binding/backend.js';
import { bytesToAlignment } from '../../src/native/c/copy.js';
import { ONLY } from '../../src/tower/replica.js';
import { Tower } from '../../src/tower/tower.js';
import { smallConfig, smallNet } from '../equivalence/teams.js';

test('step copies its images if tensors are kept after it, and uses them in place otherwise', (t) => {
  const { net, optimizer, seed, batchSize, exchange, exchangeTimeoutMs, compile } = smallConfig(smallNet('lenet'));
  const slot = createSlot(batchSize, net.inputSize, net.inputChannels, bytesToAlignment);
  slotViews(slot, batchSize, net.inputSize, net.inputChannels).images.fill(0.5);
  const tower = new Tower({
    ...{
      part: 'whole',
      replica: ONLY,
      device: 'CPU:0',
      context: {},
      ops: 'native',
      convolutions: 'auto',
      slots: [slot],
    },
    ...{ net, optimizer, seed, batchSize, exchangeTimeoutMs, compile, exchange },
  });
  t.after(() => tower.close());
  const made = mock.method(currentBinding(), 'createTensor');
  t.after(() => made.mock.restore());
  for (const keep of [false, true]) {
    made.mock.resetCalls();
    const rate = { learningRate: 0.01, epoch: 1 };
    tower.step({ kind: 'step', slot: 0, count: batchSize, step: 1, ...rate, update: true, keep });
    const copies = made.mock.calls.filter(({ arguments: [shape] }) => shape.length === 4 && shape[0] === batchSize);
    assert.equal(copies.length, keep ? 1 : 0);
  }
});
