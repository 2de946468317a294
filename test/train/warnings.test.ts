/** The rules that warn of a training, each on both sides of its bound. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { EventOf, WarningKind } from '../../src/log.js';
import {
  type Accuracies,
  activationWarnings,
  belowMajority,
  chanceLoss,
  type LossState,
  lossAtChance,
  patienceOf,
  risingLoss,
  testAtChance,
} from '../../src/train/warnings.js';

const STUCK: LossState = {
  ...{ step: 1000, steps: 5000, classes: 10, mean: 2.305, best: 2.3, top1: 0.1, images: 3200, learningRate: 0.01 },
};

test('chanceLoss() is ln(classes), and patienceOf() grows with the classes', () => {
  assert.ok(Math.abs(Math.exp(chanceLoss(10)) - 10) < 1e-6);
  assert.deepEqual([2, 10, 200, 1000].map(patienceOf), [1000, 1000, 1000, 5000]);
});

test('lossAtChance() warns that a net has not begun to learn, with step, loss, chance and advice', () => {
  const warning = lossAtChance(STUCK);
  assert.deepEqual([warning?.kind, warning?.step, warning?.value], ['no-learning', 1000, 2.305]);
  assert.match(
    warning!.message,
    /mean loss of steps 951 to 1000 is 2\.3050, and guessing gives ln\(10\) = 2\.3026; try another --lr \(now 0\.01\)/,
  );
  assert.equal(lossAtChance({ ...STUCK, step: 999 }), undefined);
  assert.equal(lossAtChance({ ...STUCK, mean: undefined }), undefined);
  assert.equal(lossAtChance({ ...STUCK, mean: Number.NaN }), undefined);
  assert.equal(lossAtChance({ ...STUCK, mean: 0.989 * Math.log(10) }), undefined, 'more than 1 % below');
  assert.equal(lossAtChance({ ...STUCK, mean: 3 })?.kind, 'no-learning', 'worse than guessing');
  assert.equal(lossAtChance({ ...STUCK, top1: 0.13 }), undefined, 'the answers are better than guesses');
});

test('lossAtChance() waits longer with more classes, and judges a shorter run at its end', () => {
  const many = { ...STUCK, classes: 1000, mean: 6.9, best: 6.89, top1: 0.001 };
  assert.equal(lossAtChance({ ...many, step: 4999, steps: 9000 }), undefined);
  assert.equal(lossAtChance({ ...many, step: 5000, steps: 9000 })?.kind, 'no-learning');
  assert.equal(lossAtChance({ ...STUCK, step: 390, steps: 390 })?.kind, 'no-learning');
  assert.equal(lossAtChance({ ...STUCK, step: 199, steps: 199 }), undefined);
});

test('lossAtChance() warns at once of a net that fell back to chance', () => {
  const warning = lossAtChance({ ...STUCK, step: 120, best: 1.1 });
  assert.equal(warning?.kind, 'collapse');
  assert.match(
    warning!.message,
    /has forgotten what it learnt: .* after 1\.1000 before; continue from an older checkpoint/,
  );
  assert.equal(lossAtChance({ ...STUCK, step: 120, best: 2.2 }), undefined);
});

const FIRST = { step: 1, loss: 2.3 };

test('risingLoss() finds a mean of ten steps above twice the start, and one step above ten times', () => {
  const state = { step: 51, classes: 10, learningRate: 0.16 };
  const ten = (value: number) => Array<number>(10).fill(value);
  assert.equal(risingLoss(ten(4.6), FIRST, state), undefined);
  const risen = risingLoss(ten(4.7), FIRST, state);
  assert.equal(risen?.kind, 'rising-loss');
  assert.match(risen!.message, /mean loss of the last 10 steps to 51 is 4\.7, after 2\.3 in step 1, and/);
  assert.equal(risingLoss(ten(4.7), FIRST, { ...state, step: 50 }), undefined, 'the first steps may overshoot');
  assert.equal(risingLoss([2.3, 24], FIRST, { ...state, step: 2 })?.kind, 'rising-loss');
  assert.equal(risingLoss(ten(4.7).slice(1), FIRST, state), undefined, 'fewer steps');
  assert.equal(risingLoss([...ten(1).slice(1), 22], FIRST, state), undefined, 'one batch');
  assert.match(risingLoss([2.3, 24], FIRST, state)!.message, /the loss of step 51 is 24/);
  assert.equal(risingLoss([2.3, Number.POSITIVE_INFINITY], FIRST, state)?.kind, 'rising-loss');
  assert.equal(risingLoss(ten(9), { step: 1, loss: 5 }, state), undefined, 'the run began with a high loss');
  assert.equal(
    risingLoss(ten(3), { step: 501, loss: 0.2 }, state),
    undefined,
    'a resumed run that began with a low loss',
  );
});

const EVALUATED: Accuracies = { step: 78, classes: 10, top1: 0.11, images: 1000, training: 0.5, steps: 50 };

test('testAtChance() depends on the accuracy that guessing can reach with that many images', () => {
  const warning = testAtChance(EVALUATED);
  assert.equal(warning?.kind, 'test-at-chance');
  assert.ok(Math.abs(warning!.bound! - (0.1 + 3 * Math.sqrt(0.09 / 1000))) < 1e-12);
  assert.match(
    warning!.message,
    /top-1 0\.1100 of 1000 test images, .* up to 0\.1285, and 0\.5000 in the last 50 steps/,
  );
  assert.equal(testAtChance({ ...EVALUATED, top1: 0.13 }), undefined);
  assert.equal(
    testAtChance({ ...EVALUATED, top1: 0.13, images: 100 })?.kind,
    'test-at-chance',
    'the bound is higher for fewer images',
  );
  assert.equal(testAtChance({ ...EVALUATED, training: 0.25 }), undefined, 'training is not above twice the bound');
  assert.equal(testAtChance({ ...EVALUATED, steps: 9 }), undefined);
  assert.equal(testAtChance({ ...EVALUATED, top1: Number.NaN }), undefined);
});

test('testAtChance() needs many images for two classes, and few for a thousand', () => {
  const two = { ...EVALUATED, classes: 2, top1: 0.5, images: 36 };
  assert.equal(testAtChance({ ...two, training: 0.9 }), undefined, '36 images are too few');
  assert.equal(testAtChance({ ...two, training: 1 })?.kind, 'test-at-chance');
  assert.equal(testAtChance({ ...two, images: 1000, training: 0.8 })?.kind, 'test-at-chance');
  const many = { ...EVALUATED, classes: 1000, top1: 0.001, images: 50_000 };
  assert.equal(testAtChance({ ...many, training: 0.002 }), undefined);
  assert.equal(testAtChance({ ...many, training: 0.01 })?.kind, 'test-at-chance');
});

test('belowMajority() compares the end of a run with the largest class', () => {
  const end = { step: 300, epochs: 3, top1: 0.4, images: 50, majority: 0.4 };
  assert.match(
    belowMajority(end)!.message,
    /top-1 0\.4000 of 50 test images, 0\.4000 of which are in that class; train/,
  );
  assert.equal(belowMajority({ ...end, top1: 0.42 }), undefined);
  assert.equal(belowMajority({ ...end, epochs: 2.9 }), undefined);
  assert.equal(belowMajority({ ...end, majority: undefined }), undefined);
});

type Layer = EventOf<'activations'>['layers'][number];

function layer(name: string, changes: Partial<Layer> = {}): Layer {
  return { layer: name, tower: 0, mean: 0.4, sd: 0.6, max: 5, zero: 0.5, signal: 0.2, units: 100, ...changes };
}

function measured(layers: Layer[], changes: Partial<EventOf<'activations'>> = {}): EventOf<'activations'> {
  const images = layer('images', { mean: 0, sd: 1, signal: 0.8, units: 3 });
  return { event: 'activations', step: 0, images: 64, layers: [images, ...layers], ...changes };
}

/** The warning of that kind, if there is one. */
function warningOf(kind: WarningKind, event: EventOf<'activations'>) {
  return activationWarnings(event).find((each) => each.kind === kind);
}

test('activationWarnings() is empty for fewer than sixteen images', () => {
  const bad = [
    layer('conv1', { dead: 100 }),
    layer('conv2', { signal: 0 }),
    layer('fc7', { sd: Number.NaN }),
    layer('fc8', { signal: 1e-5 }),
  ];
  const kinds = (layers: Layer[], images: number) =>
    activationWarnings(measured(layers, { images })).map(({ kind }) => kind);
  assert.deepEqual(kinds(bad, 16), ['no-signal', 'dead-units', 'large-activations']);
  assert.deepEqual(kinds(bad.slice(3), 16), ['weak-signal']);
  for (const images of [1, 2, 15]) {
    assert.deepEqual(kinds(bad, images), []);
    assert.deepEqual(kinds(bad.slice(3), images), []);
  }
});

test('activationWarnings() names each layer and tower with more dead units than the bound', () => {
  const layers = [
    layer('conv2', { dead: 95 }),
    layer('conv2', { dead: 96, tower: 1 }),
    layer('pool2'),
    layer('fc6', { dead: 100 }),
  ];
  const warning = warningOf('dead-units', measured(layers));
  assert.deepEqual(warning?.layers, [
    { layer: 'conv2', tower: 1, value: 0.96 },
    { layer: 'fc6', tower: 0, value: 1 },
  ]);
  assert.match(warning!.message, /at step 0, 0 for each of 64 test images: 96 % in conv2 of tower 1, 100 % in fc6 of/);
  assert.equal(warningOf('dead-units', measured(layers.slice(0, 1))), undefined);
});

test('activationWarnings() names the first layer of each tower that has the same values for every image, but for rounding', () => {
  const layers = [
    layer('conv1', { signal: 2e-6 }),
    layer('conv1', { signal: 0, tower: 1 }),
    layer('conv2', { signal: 9e-7 }),
    layer('conv2', { signal: 0, tower: 1 }),
  ];
  const warning = warningOf('no-signal', measured(layers));
  assert.deepEqual(warning?.layers, [
    { layer: 'conv2', tower: 0, value: 9e-7 },
    { layer: 'conv1', tower: 1, value: 0 },
  ]);
  assert.match(
    warning!.message,
    /deviation between 64 test images is 9e-7 in conv2 of tower 0, 0 in conv1 of tower 1,/,
  );
  assert.equal(warningOf('no-signal', measured([layer('conv1')])), undefined);
});

test('activationWarnings() names the layers whose deviation is a thousand times that of the images, or NaN', () => {
  const layers = [
    layer('conv1', { sd: 1000 }),
    layer('conv2', { sd: 1001, tower: 1 }),
    layer('fc8', { sd: Number.NaN }),
  ];
  const warning = warningOf('large-activations', measured(layers));
  assert.deepEqual(
    warning?.layers?.map((each) => each.layer),
    ['conv2', 'fc8'],
  );
  assert.match(warning!.message, /1001 in conv2 of tower 1, NaN in fc8 of tower 0, and 1 in the net's input/);
  assert.equal(warningOf('large-activations', measured(layers.slice(0, 1))), undefined);
});

test('activationWarnings() finds scores that hardly depend on the image, before the first step alone', () => {
  const scores = (signal: number) => measured([layer('fc7', { signal: 2e-6 }), layer('fc8', { signal })]);
  const warning = warningOf('weak-signal', scores(2.9e-5));
  assert.deepEqual([warning?.kind, warning?.value], ['weak-signal', 2.9e-5]);
  assert.match(warning!.message, /is 0\.8 in the net's input and 0\.000029 in fc8, expected 0\.00003 at least/);
  assert.equal(warningOf('weak-signal', scores(3e-5)), undefined);
  assert.equal(warningOf('weak-signal', { ...scores(2.9e-5), step: 100 }), undefined);
});
