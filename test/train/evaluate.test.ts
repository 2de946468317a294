/** Evaluation with a lane of batch slots as in a run, and a stand-in for the towers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createPrefetcher } from '../../src/data/batches/prefetch.js';
import { type BatchFeeder, createSlot, floatLayout, slotViews } from '../../src/data/index.js';
import type { NetOptions } from '../../src/model/net.js';
import { ONLY } from '../../src/tower/replica.js';
import { addProbabilities, evaluate, evaluateViews } from '../../src/train/evaluate.js';
import type { Team } from '../../src/train/team.js';
import { Stopped } from '../../src/train/waiting.js';

const SIZES = { width: 1, inputSize: 1, inputChannels: 1, classes: 2 };
const NET: NetOptions = { table: 'lenet', init: 'he', dropout: true, ...SIZES };
const BATCHES = 5;
const LAYOUT = floatLayout(2, 1, 1);

/** Two slots that are filled ahead, for five batches of which the third has no image. `filled` lists what was filled. */
function feederOf() {
  const filled: string[] = [];
  const lane = createPrefetcher({
    slots: [0, 1],
    last: BATCHES * 10 - 1,
    ahead: true,
    fill: async (number, slot) => void filled.push(`${number} in ${slot}`),
  });
  const feeder = {
    testBatches: BATCHES,
    slots: [createSlot(LAYOUT), createSlot(LAYOUT)],
    layout: LAYOUT,
    async test(batch: number, view?: number) {
      const step = view === undefined ? batch : 10 * batch + view;
      return { slot: await lane.take(step), count: batch === 2 ? 0 : 2, step, epoch: 0 };
    },
    release: ({ slot, step }: { slot: number; step: number }) => lane.release(slot, step),
  } as unknown as BatchFeeder;
  return { feeder, filled };
}

function teamOf(answer: () => Promise<unknown>): Team {
  return {
    towers: [{ setup: { batchSize: 2, replica: ONLY } }],
    ask: answer,
    stage: () => undefined,
  } as unknown as Team;
}

const REPLY = [{}, { loss: 4, top1: 1, top5: 2 }];

test('evaluate() and evaluateViews() release every slot, also of a batch without an image', async () => {
  const { feeder, filled } = feederOf();
  const scores = await evaluate(
    teamOf(async () => REPLY),
    feeder,
    1,
  );
  assert.deepEqual(scores, { images: 8, loss: 2, top1: 0.5, top5: 1 });
  assert.deepEqual(filled.slice(0, 3), ['0 in 0', '1 in 1', '2 in 0']);
  const ten = await evaluateViews(
    teamOf(async () => REPLY),
    feederOf().feeder,
    NET,
  );
  assert.equal(ten.images, 8);
});

test('evaluate() and evaluateViews() do not release the slot of a batch that failed: a tower may still read it', async () => {
  const team = teamOf(async () => {
    throw new Error('tower 0 failed');
  });
  for (const run of [
    (feeder: BatchFeeder) => evaluate(team, feeder, 1),
    (feeder: BatchFeeder) => evaluateViews(team, feeder, NET),
  ]) {
    const { feeder, filled } = feederOf();
    await assert.rejects(run(feeder), /^Error: tower 0 failed$/);
    for (let i = 0; i < 5; i++) await turn();
    assert.deepEqual(filled, ['0 in 0', '1 in 1']);
  }
});

test('evaluate() does not release the slot that the towers were reading when it was stopped', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { feeder, filled } = feederOf();
  const controller = new AbortController();
  let isAsked = false;
  const team = teamOf(() => {
    isAsked = true;
    return new Promise(() => {});
  });
  const ended = assert.rejects(evaluate(team, feeder, 1, { signal: controller.signal }), Stopped);
  while (!isAsked) await turn();
  controller.abort('SIGTERM');
  t.mock.timers.tick(5_100);
  await ended;
  for (let i = 0; i < 5; i++) await turn();
  assert.deepEqual(filled, ['0 in 0', '1 in 1']);
});

test('evaluate() and evaluateViews() throw if no image can be read, instead of returning NaN', async () => {
  const none = (): BatchFeeder => {
    const { feeder } = feederOf();
    const test = async (batch: number, view?: number) => ({ ...(await feeder.test(batch, view)), count: 0 });
    return { ...feeder, test, unreadable: [{ path: 'val/a/1.jpg', reason: 'the file is empty' }] };
  };
  const team = teamOf(async () => assert.fail('nothing to compute'));
  const wanted =
    /^DataError: Cannot evaluate: none of the images can be read \(val\/a\/1\.jpg: the file is empty\), exp/;
  await assert.rejects(evaluate(team, none(), 1), wanted);
  await assert.rejects(evaluateViews(team, none(), NET), wanted);
  const stopped = await evaluate(team, none(), 1, { signal: AbortSignal.abort() });
  assert.equal(stopped.images, 0);
  const { feeder } = feederOf();
  const test = async (batch: number, view = 0) => ({ ...(await feeder.test(batch, view)), count: view === 3 ? 1 : 2 });
  const changing = evaluateViews(
    teamOf(async () => REPLY),
    { ...feeder, test },
    NET,
  );
  await assert.rejects(changing, /some images of test batch 0 could be read for one view and not for another/);
});

test('addProbabilities() adds the softmax of each row, of large scores too', () => {
  const sums = new Float64Array(4).fill(1);
  addProbabilities(sums, Float32Array.of(0, Math.log(3), 1000, -1000), 2, 0.5);
  [1.125, 1.375, 1.5, 1].forEach((expected, i) => {
    assert.ok(Math.abs(sums[i]! - expected) < 1e-7, `${sums}`);
  });
});

/** Batches of two, no and one image, with labels 1, 1 and 0. The pixel of an image is the number of its view. */
function viewsFeeder(): BatchFeeder {
  const slot = createSlot(LAYOUT);
  const { images, labels } = slotViews(slot, LAYOUT);
  return {
    slots: [slot],
    layout: LAYOUT,
    testBatches: 3,
    async test(batch: number, view = 0) {
      images.fill(view);
      labels.set(batch === 0 ? [1, 1] : [0, 99]);
      return { slot: 0, count: [2, 0, 1][batch]!, step: batch * 10 + view, epoch: 0 };
    },
    release() {},
  } as unknown as BatchFeeder;
}

test('evaluateViews() averages probabilities, not scores, over all ten views of each image', async () => {
  const views: number[] = [];
  const feeder = viewsFeeder();
  const team = {
    towers: [{ setup: { batchSize: 2, replica: ONLY } }],
    stage: () => undefined,
    async ask({ count }: { count: number }, memory: SharedArrayBuffer) {
      const view = slotViews(feeder.slots[0]!, LAYOUT).images[0]!;
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
