/** What is no number is found before it is in the weights. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { ExchangeError, NonFiniteError } from '../../src/errors.js';
import { createMailboxes, Mailbox, msgpackTransport, slotBytesFor, type Transport } from '../../src/exchange/index.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { useDevice } from '../../src/native/index.js';
import { halfSquares } from '../../src/native/layers/layer-ops.js';
import { checkGradients, exchangeNorms } from '../../src/tower/gradient-check.js';

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

/** The check in the whole net, or in a tower whose peer has that norm. */
function check(gradients: tf.Tensor[], { peer = 1, part = 'whole' }: { peer?: number; part?: 0 | 1 | 'whole' } = {}) {
  try {
    const own = tf.tidy(() => halfSquares(gradients).dataSync()[0]!);
    checkGradients({ own, peer }, gradients, PARAMETERS, { step: 7, learningRate: 0.5 }, part);
  } finally {
    tf.dispose(gradients);
  }
}

test('checkGradients() lets numbers pass, and names the gradient that has none', () => {
  check(gradientsWith());
  check(gradientsWith('tower0/conv1/bias', 1e18));
  const { numTensors } = tf.memory();
  for (const name of ['tower0/conv1/kernel', 'tower0/fc3/bias', PARAMETERS.at(-1)!.name]) {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      assert.throws(
        () => check(gradientsWith(name, value)),
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
    () => check(gradientsWith('tower0/conv2/kernel', 1e25)),
    /the gradient of step 7 is too large for a float32, most of all in tower0\/conv2\/kernel,/,
  );
  assert.equal(tf.memory().numTensors, numTensors, 'nothing is left on the device');
});

test('checkGradients() names the gradient that came about first: the one furthest back in the net', () => {
  const gradients = gradientsWith('tower0/conv1/kernel', Number.NaN);
  const late = PARAMETERS.findIndex(({ name }) => name === 'tower0/fc3/kernel');
  gradients[late] = tf.fill([...PARAMETERS[late]!.shape], Number.NaN);
  assert.throws(() => check(gradients), /first in tower0\/fc3\/kernel,/);
});

test("checkGradients() refuses where only the peer's are not finite, as an echo of its error", () => {
  for (const peer of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => check(gradientsWith(), { peer, part: 0 }),
      (error) =>
        error instanceof ExchangeError &&
        error.isEcho &&
        error.message ===
          'Cannot go on at step 7: the gradients of tower 1 are not finite; its own message says where (the update was not made)',
    );
    assert.throws(() => check(gradientsWith('tower0/fc3/bias', Number.NaN), { peer, part: 0 }), NonFiniteError);
  }
  check(gradientsWith(), { part: 1 });
});

test('exchangeNorms() has both towers know both norms, also those that are no numbers', () => {
  const mailboxes = createMailboxes(slotBytesFor(4));
  const [a, b] = [0, 1].map((tower) => {
    return msgpackTransport(new Mailbox(mailboxes, tower as 0 | 1, 1000), tower as 0 | 1);
  }) as [Transport, Transport];
  for (const [own, peer] of [
    [1.5, 2.5],
    [Number.NaN, Number.POSITIVE_INFINITY],
  ] as const) {
    const place = { site: 'gradients', step: 3, direction: 'backward' } as const;
    const copyTo = (bytes: Uint8Array) => bytes.set(new Uint8Array(Float32Array.of(peer).buffer));
    b.send({ shape: [], dtype: 'float32', copyTo }, place);
    assert.deepEqual(exchangeNorms(own, 3, a, false), { own, peer });
    const sent = b.receive(
      { shape: [], dtype: 'float32' },
      place,
      (bytes) => new Float32Array(bytes.slice().buffer)[0],
    );
    assert.equal(sent, own);
  }
  // Where it ends all, the peer's is not waited for.
  assert.deepEqual(exchangeNorms(Number.NaN, 4, a), { own: Number.NaN, peer: Number.NaN });
  assert.deepEqual(exchangeNorms(7, 3, undefined), { own: 7, peer: 7 });
});
