/** What is no number is found before it is in the weights. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { NonFiniteError } from '../../src/errors.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { useDevice } from '../../src/native/index.js';
import { GradientCheck } from '../../src/tower/gradient-check.js';

before(() => useDevice('CPU:0'));

const PARAMETERS = parametersOf(
  buildNet({ table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, classes: 10, init: 'xavier', dropout: false }),
  0,
);

/** Gradients of ones, but for the values of one of them. */
function gradientsWith(name = '', value = 1): tf.Tensor[] {
  return PARAMETERS.map((each) => {
    const values = new Float32Array(each.shape.reduce((a, b) => a * b, 1)).fill(1);
    if (each.name === name) values[values.length >> 1] = value;
    return tf.tensor(values, [...each.shape]);
  });
}

for (const mode of ['on', 'off'] as const) {
  test(`GradientCheck, compile ${mode}, lets numbers pass, and names the gradient that has none`, () => {
    const check = new GradientCheck(mode);
    const run = (gradients: tf.Tensor[]) => {
      try {
        check.check(gradients, PARAMETERS, 7, 0.5);
      } finally {
        tf.dispose(gradients);
      }
    };
    run(gradientsWith());
    run(gradientsWith('tower0/conv1/bias', 1e18));
    const { numTensors } = tf.memory();
    for (const name of ['tower0/conv1/kernel', 'tower0/fc3/bias', PARAMETERS.at(-1)!.name]) {
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        assert.throws(
          () => run(gradientsWith(name, value)),
          (error) =>
            error instanceof NonFiniteError &&
            error.exitCode === 1 &&
            error.message.startsWith(
              `Cannot go on: the gradient of step 7 is not finite, first in ${name}, at learning rate 0.5,`,
            ),
        );
      }
    }
    assert.throws(
      () => run(gradientsWith('tower0/conv2/kernel', 1e25)),
      /the gradient of step 7 is too large for a float32, most of all in tower0\/conv2\/kernel,/,
    );
    assert.equal(tf.memory().numTensors, numTensors, 'nothing is left on the device');
    check.dispose();
  });
}

test('GradientCheck names the gradient that came about first: the one furthest back in the net', () => {
  const gradients = gradientsWith('tower0/conv1/kernel', Number.NaN);
  const late = PARAMETERS.findIndex(({ name }) => name === 'tower0/fc3/kernel');
  gradients[late] = tf.fill([...PARAMETERS[late]!.shape], Number.NaN);
  assert.throws(() => new GradientCheck('off').check(gradients, PARAMETERS, 1, 1), /first in tower0\/fc3\/kernel,/);
  tf.dispose(gradients);
});
