import assert from 'node:assert/strict';
import test from 'node:test';
import { learningRateIn, type OptimizerOptions, ratesOf } from '../../src/optim/schedule.js';

const OPTIONS: OptimizerOptions = {
  learningRate: 0.5,
  momentum: 0.9,
  weightDecay: 0.0005,
  biasRateFactor: 2,
  biasDecay: 0,
  schedule: { kind: 'constant' },
};

test('learningRateIn() a constant schedule is always the same', () => {
  assert.deepEqual([learningRateIn(1, OPTIONS), learningRateIn(1000, OPTIONS)], [0.5, 0.5]);
});

test('learningRateIn() a schedule of steps drops after each of its epochs', () => {
  const options: OptimizerOptions = { ...OPTIONS, schedule: { kind: 'steps', epochs: [2, 4, 5], factor: 0.5 } };
  const rates = [1, 2, 3, 4, 5, 6, 100].map((epoch) => learningRateIn(epoch, options));
  assert.deepEqual(rates, [0.5, 0.5, 0.25, 0.25, 0.125, 0.0625, 0.0625]);
});

test('learningRateIn() needs no order of the epochs, and none at all', () => {
  const at = (epochs: number[]) => learningRateIn(3, { ...OPTIONS, schedule: { kind: 'steps', epochs, factor: 0.1 } });
  assert.equal(at([9, 1]), 0.05);
  assert.equal(at([]), 0.5);
});

test('ratesOf() gives kernels the decay, and biases their own rate and decay', () => {
  assert.deepEqual(ratesOf('kernel', 0.25, OPTIONS), { learningRate: 0.25, momentum: 0.9, weightDecay: 0.0005 });
  assert.deepEqual(ratesOf('bias', 0.25, OPTIONS), { learningRate: 0.5, momentum: 0.9, weightDecay: 0 });
  assert.equal(ratesOf('bias', 0.25, { ...OPTIONS, biasDecay: 0.1 }).weightDecay, 0.1);
});
