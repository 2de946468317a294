/** Whose a batch's slot is while a net is evaluated: with a lane of slots as in a run, and a stand-in for the towers. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openLane } from '../../src/data/batches/prefetch.js';
import { type BatchFeeder, createSlot } from '../../src/data/index.js';
import type { NetOptions } from '../../src/model/net.js';
import { evaluate } from '../../src/train/evaluate.js';
import { Stopped } from '../../src/train/stop.js';
import type { Team } from '../../src/train/team.js';
import { evaluateViews } from '../../src/train/ten-view.js';

const SIZES = { width: 1, inputSize: 1, inputChannels: 1, classes: 2 };
const NET: NetOptions = { table: 'lenet', init: 'he', dropout: true, ...SIZES };
const BATCHES = 5;

/** Two slots that are filled ahead, five batches, the third of which has no image; notes which slot was filled when. */
function feederOf() {
  const filled: string[] = [];
  const lane = openLane({
    slots: [0, 1],
    last: BATCHES * 10 - 1,
    ahead: true,
    fill: async (number, slot) => void filled.push(`${number} in ${slot}`),
  });
  const feeder = {
    testBatches: BATCHES,
    slots: [createSlot(2, 1, 1), createSlot(2, 1, 1)],
    async test(batch: number, view?: number) {
      const step = view === undefined ? batch : 10 * batch + view;
      return { slot: await lane.take(step), count: batch === 2 ? 0 : 2, step, epoch: 0 };
    },
    release: ({ slot, step }: { slot: number; step: number }) => lane.release(slot, step),
  } as unknown as BatchFeeder;
  return { feeder, filled };
}

function teamOf(answer: () => Promise<unknown>): Team {
  return { towers: [{ setup: { batchSize: 2 } }], ask: answer } as unknown as Team;
}

const REPLY = [{}, { loss: 4, top1: 1, top5: 2 }];

test('evaluate() and evaluateViews() have every slot filled again, also after a batch without an image', async () => {
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

test('evaluate() and evaluateViews() leave the slot of a batch that failed as it is: a tower may read it yet', async () => {
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

test('evaluate() that is stopped leaves the slot that the towers are at as it is', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { feeder, filled } = feederOf();
  const controller = new AbortController();
  let isAsked = false;
  const team = teamOf(() => {
    isAsked = true;
    return new Promise(() => {});
  });
  const ended = assert.rejects(evaluate(team, feeder, 1, controller.signal), Stopped);
  while (!isAsked) await turn();
  controller.abort('SIGTERM');
  t.mock.timers.tick(5_100);
  await ended;
  for (let i = 0; i < 5; i++) await turn();
  assert.deepEqual(filled, ['0 in 0', '1 in 1']);
});

test('evaluate() and evaluateViews() of no image at all are errors, not scores that are no numbers', async () => {
  const none = (): BatchFeeder => {
    const { feeder } = feederOf();
    const test = async (batch: number, view?: number) => ({ ...(await feeder.test(batch, view)), count: 0 });
    return { ...feeder, test, unreadable: [{ path: 'val/a/1.jpg', reason: 'the file is empty' }] };
  };
  const team = teamOf(async () => assert.fail('nothing is to be computed'));
  const wanted =
    /^DataError: Cannot evaluate: none of the test images can be read \(val\/a\/1\.jpg: the file is empty\), exp/;
  await assert.rejects(evaluate(team, none(), 1), wanted);
  await assert.rejects(evaluateViews(team, none(), NET), wanted);
  const stopped = await evaluate(team, none(), 1, AbortSignal.abort());
  assert.equal(stopped.images, 0);
  const { feeder } = feederOf();
  const test = async (batch: number, view = 0) => ({ ...(await feeder.test(batch, view)), count: view === 3 ? 1 : 2 });
  const changing = evaluateViews(
    teamOf(async () => REPLY),
    { ...feeder, test },
    NET,
  );
  await assert.rejects(changing, /images of test batch 0 could be read for one view and not for another/);
});
