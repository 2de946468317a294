import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type EpochError,
  learningRateAt,
  type OptimizerOptions,
  plateausIn,
  rateClassOf,
  ratesOf,
  type ScheduleState,
} from '../../src/optim/schedule.js';

const OPTIONS: OptimizerOptions = {
  learningRate: 0.5,
  momentum: 0.9,
  weightDecay: 0.0005,
  biasRateFactor: 2,
  biasDecay: 0,
  schedule: { kind: 'constant' },
};

/** The kernels' rate in an epoch of a long run. */
const learningRateIn = (epoch: number, optimizer: OptimizerOptions, state?: ScheduleState) =>
  learningRateAt({ step: epoch, steps: 1000, batchesPerEpoch: 1 }, optimizer, state);

/** Errors of the epochs from the first on. */
const epochs = (errors: readonly number[]): EpochError[] => errors.map((error, i) => ({ epoch: i + 1, error }));

test('learningRateAt() of a constant schedule never changes', () => {
  assert.deepEqual([learningRateIn(1, OPTIONS), learningRateIn(1000, OPTIONS)], [0.5, 0.5]);
});

test('learningRateAt() of a schedule of steps drops after each of its epochs', () => {
  const options: OptimizerOptions = { ...OPTIONS, schedule: { kind: 'steps', epochs: [2, 4, 5], factor: 0.5 } };
  const rates = [1, 2, 3, 4, 5, 6, 100].map((epoch) => learningRateIn(epoch, options));
  assert.deepEqual(rates, [0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.0625]);
});

test('learningRateAt() accepts the epochs of a schedule in any order, or an empty list', () => {
  const at = (epochs: number[]) => learningRateIn(3, { ...OPTIONS, schedule: { kind: 'steps', epochs, factor: 0.1 } });
  assert.equal(at([9, 1]), 0.05);
  assert.equal(at([]), 0.5);
});

test('learningRateAt() of a plateau drops when the error stops falling, down to the least rate', () => {
  const options: OptimizerOptions = {
    ...OPTIONS,
    schedule: { kind: 'plateau', factor: 0.1, patience: 2, least: 0.001 },
  };
  const errors = epochs([0.9, 0.8, 0.8, 0.81, 0.7, 0.75, 0.7, 0.9, 0.9, 0.9, 0.9]);
  const rates = errors.map((_, i) => learningRateIn(1, options, { errors: errors.slice(0, i) }));
  // 0.8 and 0.81 are no better than 0.8; 0.75 and 0.7 no better than 0.7; then every second one.
  const expected = [0.5, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005, 0.005, 0.001, 0.001];
  for (const [i, rate] of rates.entries()) assert.ok(Math.abs(rate - expected[i]!) < 1e-15, `after ${i}: ${rate}`);
  assert.equal(learningRateIn(9, { ...options, learningRate: 1e-4 }, { errors }), 1e-4, 'no rate is raised');
});

test('plateausIn() depends on the errors alone: none, all worse, NaN', () => {
  assert.equal(plateausIn([], 1), 0);
  assert.equal(plateausIn(epochs([0.5]), 1), 0);
  assert.equal(plateausIn(epochs([0.5, 0.5, 0.6, 0.5]), 1), 3);
  assert.equal(plateausIn(epochs([0.5, Number.NaN, Number.NaN, 0.4]), 2), 1);
  assert.equal(plateausIn(epochs([5, 4, 3, 2, 1]), 1), 0);
});

test('plateausIn() also counts epochs without an evaluation', () => {
  const error = 0.5;
  const every = (step: number) => [1, 2, 3, 4].map((i) => ({ epoch: i * step, error }));
  assert.deepEqual([plateausIn(every(1), 3), plateausIn(every(2), 3), plateausIn(every(3), 3)], [1, 1, 3]);
});

test('learningRateAt() of a schedule with a later start counts from there, with its factor of the rate', () => {
  const start = { epoch: 3, factor: 0.5 };
  const steps: OptimizerOptions = { ...OPTIONS, schedule: { kind: 'steps', epochs: [1, 2, 3, 5], factor: 0.5 } };
  assert.deepEqual(
    [3, 4, 5, 6].map((epoch) => learningRateIn(epoch, steps, { start })),
    [0.25, 0.125, 0.125, 0.0625],
  );
  assert.equal(learningRateIn(9, OPTIONS, { start }), 0.25);
  const plateau: OptimizerOptions = { ...OPTIONS, schedule: { kind: 'plateau', factor: 0.5, patience: 2, least: 0.2 } };
  const errors = [3, 4, 5].map((epoch) => ({ epoch, error: 0.5 }));
  assert.deepEqual(
    [0, 2, 3].map((count) => learningRateIn(6, plateau, { errors: errors.slice(0, count), start })),
    [0.25, 0.25, 0.2],
  );
});

const KERNEL = { layer: 'conv2', role: 'kernel' } as const;
const BIAS = { layer: 'conv2', role: 'bias' } as const;

test("ratesOf() returns the biases' own rate and decay", () => {
  const moment = { learningRate: 0.25, epoch: 1 };
  assert.deepEqual(ratesOf(KERNEL, moment, OPTIONS), { learningRate: 0.25, momentum: 0.9, weightDecay: 0.0005 });
  assert.deepEqual(ratesOf(BIAS, moment, OPTIONS), { learningRate: 0.5, momentum: 0.9, weightDecay: 0 });
  assert.equal(ratesOf(BIAS, moment, { ...OPTIONS, biasDecay: 0.1 }).weightDecay, 0.1);
});

test('ratesOf() gives a layer or a role its own rate after an epoch; the last match counts', () => {
  const options: OptimizerOptions = {
    ...OPTIONS,
    ownRates: [
      { role: 'bias', after: 0, factor: 4 },
      { layer: 'conv1', role: 'kernel', after: 3, factor: 0.5 },
      { layer: 'conv1', after: 5, factor: 0 },
    ],
  };
  const rate = (layer: string, role: 'kernel' | 'bias', epoch: number) =>
    ratesOf({ layer, role }, { learningRate: 0.125, epoch }, options).learningRate;
  const epochs = [1, 3, 4, 5, 6, 100];
  // Own rates are of the first learning rate, 0.5, whatever the schedule has made of it.
  assert.deepEqual(
    epochs.map((epoch) => rate('conv1', 'kernel', epoch)),
    [0.125, 0.125, 0.25, 0.25, 0, 0],
  );
  assert.deepEqual(
    epochs.map((epoch) => rate('conv1', 'bias', epoch)),
    [2, 2, 2, 2, 0, 0],
  );
  assert.deepEqual([rate('conv2', 'kernel', 100), rate('conv2', 'bias', 100)], [0.125, 2]);
});

test('headRate multiplies the rates of the last layer, also those of its own', () => {
  const moment = { learningRate: 0.25, epoch: 4 };
  const optimizer = { ...OPTIONS, headRate: 8, ownRates: [{ role: 'bias', after: 4, factor: 0.5 } as const] };
  const rate = (role: 'kernel' | 'bias', isHead: boolean, epoch = 4) =>
    ratesOf({ layer: 'fc8', role, isHead }, { ...moment, epoch }, optimizer).learningRate;
  assert.deepEqual([rate('kernel', true), rate('bias', true), rate('bias', true, 5)], [2, 4, 2]);
  assert.deepEqual([rate('kernel', false), rate('bias', false), rate('bias', false, 5)], [0.25, 0.5, 0.25]);
  const classOf = (isHead: boolean, headRate?: number) => rateClassOf({ ...KERNEL, isHead }, { headRate });
  assert.notEqual(classOf(true, 8), classOf(false, 8));
  assert.equal(classOf(true), classOf(false));
});

test('rateClassOf() is equal exactly for parameters that always have the same rates', () => {
  const ownRates = [
    { layer: 'conv1', after: 3, factor: 0.5 },
    { role: 'bias', after: 9, factor: 0 },
  ] as const;
  const classOf = (layer: string, role: 'kernel' | 'bias') => rateClassOf({ layer, role }, { ownRates });
  const classes = [
    classOf('conv1', 'kernel'),
    classOf('conv1', 'bias'),
    classOf('fc6', 'kernel'),
    classOf('fc6', 'bias'),
  ];
  assert.equal(new Set(classes).size, 4);
  assert.equal(classOf('fc6', 'kernel'), classOf('fc7', 'kernel'));
  assert.equal(rateClassOf(KERNEL, {}), rateClassOf({ layer: 'conv1', role: 'kernel' }, {}));
  assert.notEqual(rateClassOf(KERNEL, {}), rateClassOf(BIAS, {}));
});

test('learningRateAt() rises from the rate to its multiple, step by step, in the epochs of the warm-up', () => {
  const options = { ...OPTIONS, linearScaling: 4, warmupEpochs: 2 };
  const at = (step: number, more: Partial<OptimizerOptions> = {}, state: ScheduleState = {}) =>
    learningRateAt({ step, steps: 1000, batchesPerEpoch: 5 }, { ...options, ...more }, state);
  assert.equal(at(1), 0.5);
  assert.equal(at(6), 0.5 + (1.5 * 5) / 10);
  assert.deepEqual([at(11), at(1000)], [2, 2]);
  const rises = Array.from({ length: 10 }, (_, i) => at(i + 2) - at(i + 1));
  for (const each of rises) assert.ok(Math.abs(each - 0.15) < 1e-12, `${each}`);
  // A fall of the schedule meanwhile counts too.
  const schedule = { kind: 'steps', epochs: [1], factor: 0.1 } as const;
  assert.ok(Math.abs(at(6, { schedule }) - 0.125) < 1e-12);
  assert.equal(at(11, { schedule }), 0.2);
  assert.deepEqual([at(1, { warmupEpochs: 0 }), at(1, { linearScaling: undefined })], [2, 0.5]);
  // A branch with another rate starts the warm-up where it starts.
  const start = { epoch: 3, factor: 1, warmup: true };
  assert.deepEqual([at(11, {}, { start }), at(21, {}, { start })], [0.5, 2]);
  assert.equal(at(11, {}, { start: { epoch: 3, factor: 0.1 } }), 0.2);
});

test('linearScaling multiplies the rate of every schedule, and the rates of single layers', () => {
  const scaled = { ...OPTIONS, linearScaling: 2 };
  assert.equal(learningRateIn(9, scaled), 1);
  const plateau = { ...scaled, schedule: { kind: 'plateau', factor: 0.1, patience: 1, least: 1e-3 } as const };
  const errors = [1, 2, 3].map((epoch) => ({ epoch, error: 0.5 }));
  assert.ok(Math.abs(learningRateIn(4, plateau, { errors }) - 0.01) < 1e-12);
  const own = { ...scaled, ownRates: [{ after: 0, factor: 0.1 }] };
  assert.equal(ratesOf({ layer: 'conv1', role: 'kernel' }, { learningRate: 1, epoch: 1 }, own).learningRate, 0.1);
});
