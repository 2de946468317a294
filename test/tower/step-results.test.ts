/** The results of a step: right answers, and gradients that are not finite are found before the update. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { ExchangeError, NonFiniteError } from '../../src/errors.js';
import { createMailboxes, Mailbox } from '../../src/exchange/mailbox.js';
import { msgpackTransport, slotBytesFor, type Transport } from '../../src/exchange/transport.js';
import { buildNet, parametersOf } from '../../src/model/net.js';
import { useDevice } from '../../src/native/index.js';
import { halfSquares } from '../../src/native/layers/layer-ops.js';
import { checkGradients, countRight, exchangeNorms } from '../../src/tower/step-results.js';

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

test('checkGradients() accepts finite gradients and names the first one that is not finite', () => {
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
            `Cannot continue: the gradient of step 7 is not finite, first in ${name}, at learning rate 0.5,`,
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

test('checkGradients() names the first gradient of the backward pass, which is the last in the net', () => {
  const gradients = gradientsWith('tower0/conv1/kernel', Number.NaN);
  const late = PARAMETERS.findIndex(({ name }) => name === 'tower0/fc3/kernel');
  gradients[late] = tf.fill([...PARAMETERS[late]!.shape], Number.NaN);
  assert.throws(() => check(gradients), /first in tower0\/fc3\/kernel,/);
});

test("checkGradients() throws an error with peerFailed if only the peer's gradients are not finite", () => {
  for (const peer of [Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(
      () => check(gradientsWith(), { peer, part: 0 }),
      (error) =>
        error instanceof ExchangeError &&
        error.peerFailed &&
        error.message ===
          'Cannot continue at step 7: the gradients of tower 1 are not finite; its own message says where (the update was not made)',
    );
    assert.throws(() => check(gradientsWith('tower0/fc3/bias', Number.NaN), { peer, part: 0 }), NonFiniteError);
  }
  check(gradientsWith(), { part: 1 });
});

test('exchangeNorms() gives both towers both norms, also norms that are not finite', () => {
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

/** Whether one row is right. */
const isRight = (scores: number[], label: number, best: number) => countRight(scores, Int32Array.of(label), best) === 1;

test('countRight() counts the rows whose label is among the best', () => {
  const scores = [0.1, 0.9, 0.5, 3, 2, 1, -1, -2, -3];
  const labels = Int32Array.of(1, 1, 2);
  assert.deepEqual(
    [1, 2, 3].map((best) => countRight(scores, labels, best)),
    [1, 2, 3],
  );
});

test('countRight() of equal scores takes the first as higher', () => {
  assert.deepEqual([isRight([2, 2, 1], 0, 1), isRight([2, 2, 1], 1, 1), isRight([2, 2, 1], 1, 2)], [true, false, true]);
  // A net that says the same of everything is right once in as many classes.
  const same = countRight(
    new Float32Array(100),
    Int32Array.from({ length: 10 }, (_, i) => i),
    1,
  );
  assert.equal(same, 1);
});

test('countRight() counts no row as right whose label has the score NaN, nor because of another NaN', () => {
  const { NaN: nan } = Number;
  assert.equal(isRight([nan, 1, 2], 0, 1), false);
  assert.equal(isRight([nan, 1, 2], 0, 5), false);
  assert.equal(isRight([nan, nan, nan], 1, 5), false);
  assert.equal(isRight([nan, 1, 2], 2, 1), false);
  assert.equal(isRight([nan, 1, 2], 2, 2), true);
});

test('countRight() with infinities', () => {
  const { POSITIVE_INFINITY: high, NEGATIVE_INFINITY: low } = Number;
  assert.deepEqual(
    [isRight([high, 1, low], 0, 1), isRight([high, 1, low], 2, 2), isRight([low, low], 0, 1)],
    [true, false, true],
  );
});

test('countRight() with fewer classes than places counts every row', () => {
  assert.equal(countRight([3, 2, 1, 1, 2, 3], Int32Array.of(2, 0), 5), 2);
});

test('countRight() of no rows is 0', () => {
  assert.equal(countRight([], new Int32Array(0), 1), 0);
});
