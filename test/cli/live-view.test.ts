/** The terminal view: a state in, lines out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { followState, type LiveState } from '../../src/cli/live-state.js';
import { sparkline, viewLines } from '../../src/cli/live-view.js';
import { EVAL, RUN_START, trainStep } from '../events.js';

const STATE: LiveState = {
  ...{ steps: 942, step: 312, epoch: 2, top1: 0.729, since: 1, imagesPerSecond: 2337.4, leftMs: 65_000 },
  losses: Array.from({ length: 312 }, (_, i) => 2.5 - i / 200),
  towers: [
    { name: 'tower 0', exchange: 0.123, wait: 0.049 },
    { name: 'tower 1', exchange: 0.11, wait: 0.091 },
  ],
  evaluation: { ...EVAL, step: 157 },
};
const PLAIN = { unicode: true, colour: false };

const EVALUATION = 'test top-1 0.8200  step 157  top-5 0.9900  loss 0.5000';

test('viewLines() of 80 columns or more has everything on four lines', () => {
  const loss = (size: number) => `loss 0.9450  ${sparkline(STATE.losses, size)}  top-1 0.729  since step 1`;
  const speed = '2337 images/s  tower 0: exchange 12%, wait 5%  tower 1: exchange 11%, wait 9%';
  const progress = '########................  312/942  1:05 left  epoch 2';
  assert.deepEqual(viewLines(STATE, { columns: 200, ...PLAIN }), [progress, loss(60), speed, EVALUATION]);
  assert.deepEqual(viewLines(STATE, { columns: 80, ...PLAIN }), [progress, loss(39), speed, EVALUATION]);
});

test('viewLines() of 40 columns gives the towers lines of their own, and leaves out the last parts', () => {
  assert.deepEqual(viewLines(STATE, { columns: 40, ...PLAIN }), [
    '###.......  312/942  1:05 left  epoch 2',
    `loss 0.9450  ${sparkline(STATE.losses, 13)}  top-1 0.729`,
    '2337 images/s',
    'tower 0: exchange 12%, wait 5%',
    'tower 1: exchange 11%, wait 9%',
    'test top-1 0.8200  step 157',
  ]);
});

test('viewLines() is narrower than the terminal at every width, with colours and without', () => {
  for (const state of [STATE, { ...STATE, steps: undefined, towers: [], evaluation: undefined }]) {
    for (let columns = 10; columns <= 220; columns++) {
      const plain = viewLines(state, { columns, ...PLAIN });
      for (const line of plain) assert.ok(line.length < columns, `${columns}: ${line}`);
      const coloured = viewLines(state, { columns, unicode: true, colour: true });
      assert.deepEqual(coloured.map(stripVTControlCharacters), plain);
    }
  }
  const [progress] = viewLines(STATE, { columns: 80, unicode: true, colour: true });
  assert.equal(progress, '\u001b[36m########................\u001b[39m  312/942  1:05 left  epoch 2');
});

test('sparkline() scales from the smallest to the largest, means successive values, and leaves a gap for NaN', () => {
  assert.equal(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8), '▁▂▃▄▅▆▇█');
  assert.equal(sparkline([8, 8, 1, 1], 2), '█▁');
  assert.equal(sparkline([1, Number.NaN, 2], 3), '▁ █');
  assert.equal(sparkline([3, 3], 10), '▁▁');
  assert.equal(sparkline([Number.POSITIVE_INFINITY], 10), ' ');
  assert.equal(sparkline([1, 8], 2, [...'_#']), '_#');
});

test('followState() measures speed and shares over the last seconds, and the time left over the steps since the start', () => {
  const live = followState();
  assert.equal(live.state(), undefined);
  live.see({ ...RUN_START, steps: 100 }, 0);
  // Ten slow steps, then, after a minute without a step, ten fast ones.
  for (let step = 1; step <= 10; step++) live.see(trainStep(step, { step_ms: 1000 }), step * 1000);
  for (let step = 11; step <= 20; step++) live.see(trainStep(step, { loss: step }), 70_000 + step * 20);
  live.see(EVAL, 71_000);
  const state = live.state()!;
  assert.equal(state.imagesPerSecond, 200);
  assert.deepEqual(state.towers[0], { name: 'tower 0', exchange: 3 / 17, wait: 4 / 17 });
  assert.equal(state.leftMs, ((70_400 - 1000) / 19) * 80);
  assert.deepEqual([state.step, state.since, state.losses.length, state.evaluation], [20, 1, 20, EVAL]);
  live.see({ ...RUN_START, steps: 50 }, 80_000);
  assert.equal(live.state(), undefined, 'a resumed run begins anew');
  live.see(trainStep(21), 81_000);
  assert.ok(Number.isNaN(live.state()!.leftMs));
  assert.equal(live.state()!.steps, 50);
});

test('followState() keeps a bounded number of steps, and shows no shares for one device', () => {
  const live = followState();
  for (let step = 1; step <= 10_000; step++) live.see(trainStep(step), step);
  const { losses, since, steps } = live.state()!;
  assert.deepEqual([losses.length, since, steps], [2000, 8001, undefined]);
  const single = followState();
  single.see(trainStep(1, { towers: trainStep(1).towers.slice(0, 1) }), 1);
  assert.deepEqual(single.state()!.towers, []);
});
