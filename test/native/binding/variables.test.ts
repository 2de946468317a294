/** Parameters as TensorFlow variables, and their update compared with the rule in plain JavaScript. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { backingDevice, currentBinding } from '../../../src/native/binding/backend.js';
import { descend, type UpdateRates, updateScalars, Variable } from '../../../src/native/binding/variables.js';
import { compile, useDevice } from '../../../src/native/index.js';

before(() => useDevice('CPU:1'));

function valuesOf(variable: Variable): number[] {
  const value = variable.read();
  const values = [...value.dataSync()];
  value.dispose();
  return values;
}

function variableOf(values: number[]): Variable {
  const initial = tf.tensor1d(values);
  const variable = new Variable(initial);
  initial.dispose();
  return variable;
}

function assertClose(found: readonly number[], expected: readonly number[]): void {
  assert.equal(found.length, expected.length);
  expected.forEach((value, i) => {
    assert.ok(Math.abs(found[i]! - value) <= 1e-5 * Math.max(1, Math.abs(value)), `[${i}] ${found[i]}, not ${value}`);
  });
}

function update(variable: Variable, velocity: Variable | undefined, gradient: tf.Tensor, rates: UpdateRates): void {
  tf.tidy(() => descend(variable, velocity, gradient, updateScalars(rates)));
}

const WEIGHTS = [1, -2, 0.5, 0];

/** The gradient of a step. */
const gradientAt = (step: number) => WEIGHTS.map((_, i) => Math.sin(step * 3 + i));

/** w and v after `steps`, by the paper's rule. */
function byTheRule({ learningRate, momentum, weightDecay }: UpdateRates, steps: number) {
  const [w, v] = [[...WEIGHTS], WEIGHTS.map(() => 0)];
  for (let step = 0; step < steps; step++) {
    for (const [i, g] of gradientAt(step).entries()) {
      v[i] = momentum * v[i]! - weightDecay * learningRate * w[i]! - learningRate * g;
      w[i] = w[i]! + v[i]!;
    }
  }
  return { w, v };
}

for (const rates of [
  { learningRate: 0.1, momentum: 0.9, weightDecay: 0.05 },
  { learningRate: 0.1, momentum: 0.9, weightDecay: 0 },
  { learningRate: 0.1, momentum: 0, weightDecay: 0.05 },
  { learningRate: 0.1, momentum: 0, weightDecay: 0 },
  { learningRate: 0, momentum: 0.9, weightDecay: 0.05 },
]) {
  test(`descend() follows the rule, eagerly and compiled, ${JSON.stringify(rates)}`, () => {
    const variable = variableOf(WEIGHTS);
    const velocity = variableOf(WEIGHTS.map(() => 0));
    const { handle } = variable;
    const compiled = compile((rate, gradient) => {
      descend(variable, velocity, gradient!, updateScalars(rates, rate));
      return [rate!];
    });
    for (let step = 0; step < 20; step++) {
      const gradient = tf.tensor1d(gradientAt(step));
      if (step < 10) update(variable, velocity, gradient, rates);
      else tf.tidy(() => compiled(tf.scalar(rates.learningRate), gradient));
      assert.deepEqual([...gradient.dataSync()], [...Float32Array.from(gradientAt(step))], 'the gradient stays');
      gradient.dispose();
    }
    const { w, v } = byTheRule(rates, 20);
    assertClose(valuesOf(variable), w);
    if (rates.momentum > 0) assertClose(valuesOf(velocity), v);
    assert.equal(variable.handle, handle, 'in place');
    compiled.dispose();
    variable.dispose();
    velocity.dispose();
  });
}

test('descend() without a velocity is plain gradient descent', () => {
  const rates = { learningRate: 0.1, momentum: 0, weightDecay: 0.05 };
  const variable = variableOf(WEIGHTS);
  for (let step = 0; step < 5; step++) {
    const gradient = tf.tensor1d(gradientAt(step));
    update(variable, undefined, gradient, rates);
    gradient.dispose();
  }
  assertClose(valuesOf(variable), byTheRule(rates, 5).w);
  variable.dispose();
});

test('descend() does not change a value that was read before', () => {
  for (const momentum of [0, 0.9]) {
    const [variable, velocity] = [variableOf([1, 2]), variableOf([0, 0])];
    const [earlier, gradient] = [variable.read(), tf.tensor1d([1, 1])];
    update(variable, velocity, gradient, { learningRate: 0.5, momentum, weightDecay: 0.1 });
    assert.deepEqual([...earlier.dataSync()], [1, 2]);
    assertClose(valuesOf(variable), [0.45, 1.4]);
    tf.dispose([earlier, gradient]);
    variable.dispose();
    velocity.dispose();
  }
});

test('descend() leaves no tensors behind', () => {
  const [variable, velocity] = [variableOf(WEIGHTS), variableOf(WEIGHTS)];
  const gradient = tf.tensor1d(gradientAt(1));
  const updateBy = (momentum: number) =>
    update(variable, velocity, gradient, { learningRate: 0.1, momentum, weightDecay: 0.1 });
  updateBy(0.9);
  const { numTensors } = tf.memory();
  const handles = currentBinding().getNumOfTensors();
  for (let i = 0; i < 100; i++) {
    updateBy(0.9);
    updateBy(0);
  }
  assert.deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [numTensors, handles]);
  gradient.dispose();
  variable.dispose();
  velocity.dispose();
});

test('Variable does not change with the tensor that it was made from', () => {
  const initial = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const [a, b] = [new Variable(initial), new Variable(initial)];
  assert.deepEqual(a.shape, [2, 2]);
  const ones = tf.ones([2, 2]);
  update(a, undefined, ones, { learningRate: 1, momentum: 0, weightDecay: 0 });
  assert.deepEqual(
    [valuesOf(a), valuesOf(b), [...initial.dataSync()]],
    [
      [0, 1, 2, 3],
      [1, 2, 3, 4],
      [1, 2, 3, 4],
    ],
  );
  b.assign(ones);
  assert.deepEqual(
    [valuesOf(a), valuesOf(b)],
    [
      [0, 1, 2, 3],
      [1, 1, 1, 1],
    ],
  );
  tf.dispose([initial, ones]);
  a.dispose();
  b.dispose();
});

test('Variable is on the device of its thread, and freed when it is disposed of', () => {
  const handles = currentBinding().getNumOfTensors();
  const variable = variableOf([1]);
  const value = variable.read();
  assert.match(backingDevice(value), /CPU:1$/);
  value.dispose();
  variable.dispose();
  assert.equal(currentBinding().getNumOfTensors(), handles);
  assert.throws(() => variable.read(), /was disposed of/);
});
