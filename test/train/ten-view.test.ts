import assert from 'node:assert/strict';
import test from 'node:test';
import { type BatchFeeder, createSlot, slotViews } from '../../src/data/index.js';
import { addProbabilities } from '../../src/train/probabilities.js';
import type { Team } from '../../src/train/team.js';
import { evaluateViews } from '../../src/train/ten-view.js';

const NET = {
  table: 'lenet',
  width: 1,
  inputSize: 1,
  inputChannels: 1,
  classes: 2,
  init: 'he',
  dropout: true,
} as const;

test('addProbabilities() adds the softmax of each row, of large scores too', () => {
  const sums = new Float64Array(4).fill(1);
  addProbabilities(sums, Float32Array.of(0, Math.log(3), 1000, -1000), 2, 0.5);
  [1.125, 1.375, 1.5, 1].forEach((expected, i) => {
    assert.ok(Math.abs(sums[i]! - expected) < 1e-7, `${sums}`);
  });
});

/** Three images in batches of two, and one batch that has none; labels 1, 1 and 0. The slot's image tells the view. */
function feederOf(): BatchFeeder {
  const slot = createSlot(2, 1, 1);
  const { images, labels } = slotViews(slot, 2, 1, 1);
  return {
    slots: [slot],
    testBatches: 3,
    async test(batch: number, view = 0) {
      images.fill(view);
      labels.set(batch === 0 ? [1, 1] : [0, 99]);
      return { slot: 0, count: [2, 0, 1][batch]!, step: batch * 10 + view, epoch: 0 };
    },
    release() {},
  } as unknown as BatchFeeder;
}

test('evaluateViews() averages probabilities, not scores, over all ten views of each image that there is', async () => {
  const views: number[] = [];
  const feeder = feederOf();
  const team = {
    towers: [{ setup: { batchSize: 2 } }],
    async ask({ count }: { count: number }, memory: SharedArrayBuffer) {
      const view = slotViews(feeder.slots[0]!, 2, 1, 1).images[0]!;
      views.push(view);
      // One view is very sure of class 0, the nine others lean to class 1: the mean score says 0, the mean probability 1.
      const logits = new Float32Array(memory);
      for (let i = 0; i < count; i++) logits.set(view === 3 ? [50, 0] : [0, 1], i * 2);
      return [{}, {}];
    },
  } as unknown as Team;
  const scores = await evaluateViews(team, feeder, NET);
  assert.deepEqual(views, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual([scores.images, scores.top1, scores.top5], [3, 2 / 3, 1]);
  const second = 0.9 * (Math.E / (1 + Math.E));
  const expected = (-2 * Math.log(second) - Math.log(1 - second)) / 3;
  assert.ok(Math.abs(scores.loss - expected) < 1e-7, `${scores.loss}, expected ${expected}`);
});
