import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { buildNet, type Net, parametersOf } from '../../src/model/net.js';
import { useDevice } from '../../src/native/backend.js';
import { nativeOps } from '../../src/tower/ops.js';
import { Parameters } from '../../src/tower/parameters.js';
import { Runner } from '../../src/tower/runner.js';
import { WholeStep } from '../../src/tower/whole-step.js';
import { difference } from '../../src/train/compare.js';

useDevice('CPU:0');

const CLASSES = 10;
const INIT = { init: 'xavier', dropout: true } as const;
const settings = { table: 'original', width: 0.05, inputSize: 67, inputChannels: 3, classes: CLASSES } as const;
const net: Net = buildNet({ ...settings, init: 'he', dropout: true });
const optimizer = {
  ...{ learningRate: 0.01, momentum: 0.9, weightDecay: 0.0005, biasRateFactor: 2, biasDecay: 0 },
  schedule: { kind: 'constant' },
} as const;
const parameters = new Parameters(parametersOf(net), 'he', optimizer, 1, 'on');
const options = { net, ops: nativeOps('auto'), seed: 1, compile: 'on' } as const;

function batchOf(count: number, shape: readonly [number, number, number] = [67, 67, 3]) {
  const images = tf.randomNormal([count, ...shape], 0, 1, 'float32', 7) as tf.Tensor4D;
  const labels = tf.tensor1d(
    Array.from({ length: count }, (_, i) => i % CLASSES),
    'int32',
  );
  return { images, labels };
}

/** A step by the tape, segment by segment as a tower runs it. */
function byTape(runner: Runner, from: Parameters, images: tf.Tensor4D, labels: tf.Tensor1D, step: number) {
  let logits: tf.Tensor | undefined;
  const { value, grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
    const outcome = runner.run({
      ...{ images, labels, step, training: true, gather: () => images },
      parameters: new Map(from.names.map((name, i) => [name, values[i]!])),
    });
    if ('sent' in outcome) throw new Error('the whole net sends nothing');
    logits = tf.keep(outcome.logits);
    return outcome.loss;
  })(from.read());
  return { loss: value, logits: logits!, gradients: grads };
}

const valuesOf = (tensors: readonly tf.Tensor[]) => tensors.map((each) => each.dataSync());

describe('WholeStep', () => {
  const whole = new WholeStep({ ...options, read: () => parameters.readEach() });
  const runner = new Runner({ ...options, part: 'whole' });
  after(() => {
    whole.dispose();
    runner.dispose();
    parameters.dispose();
  });

  for (const count of [4, 3]) {
    it(`run() has the loss, scores and gradients of the tape, bit for bit, with ${count} images`, () => {
      tf.tidy(() => {
        const { images, labels } = batchOf(count);
        const one = whole.run(images, labels, 5);
        const other = byTape(runner, parameters, images, labels, 5);
        equal(one.loss.dataSync()[0], other.loss.dataSync()[0]);
        deepEqual(one.logits.dataSync(), other.logits.dataSync());
        deepEqual(valuesOf(one.gradients), valuesOf(other.gradients));
        deepEqual(
          one.gradients.map(({ shape }) => shape),
          parametersOf(net).map(({ shape }) => [...shape]),
        );
      });
    });
  }

  // LeNet has no dropout, whose masks XLA draws by its own generator, and compiles in seconds.
  for (const mode of ['grappler', 'xla'] as const) {
    it(`run() has the loss and gradients of the tape in the mode ${mode}, to rounding`, () => {
      const small = buildNet({ table: 'lenet', width: 1, inputSize: 28, inputChannels: 1, classes: 10, ...INIT });
      const own = new Parameters(parametersOf(small), 'xavier', optimizer, 1, 'on');
      const one = new WholeStep({ ...options, net: small, compile: mode, read: () => own.readEach() });
      const other = new Runner({ ...options, net: small, part: 'whole' });
      tf.tidy(() => {
        const { images, labels } = batchOf(4, [28, 28, 1]);
        const [mine, taped] = [one.run(images, labels, 5), byTape(other, own, images, labels, 5)];
        const expected = valuesOf([taped.loss, ...taped.gradients]) as Float32Array[];
        for (const [i, values] of valuesOf([mine.loss, ...mine.gradients]).entries()) {
          ok(difference(values as Float32Array, expected[i]!).relative < 1e-5);
        }
      });
      for (const each of [one, other, own]) each.dispose();
    });
  }

  it('run() has half of the sum of the squares of all gradients', () => {
    tf.tidy(() => {
      const { images, labels } = batchOf(4);
      const { squares, gradients } = whole.run(images, labels, 5);
      const expected = gradients.flatMap((each) => [...each.dataSync()]).reduce((sum, g) => sum + g ** 2 / 2, 0);
      equal(Math.abs(squares.dataSync()[0]! / expected - 1) < 1e-5, true, `${squares.dataSync()[0]} and ${expected}`);
    });
  });

  it('run() draws its dropout anew in each step, and reads the parameters as they are', () => {
    tf.tidy(() => {
      const { images, labels } = batchOf(4);
      const lossOf = (step: number) => whole.run(images, labels, step).loss.dataSync()[0];
      const first = lossOf(5);
      equal(lossOf(5), first);
      notDeepEqual(lossOf(6), first);
      parameters.put('tower0/conv1/kernel', new Float32Array(parametersOf(net)[0]!.shape.reduce((a, b) => a * b)));
      notDeepEqual(lossOf(5), first);
    });
  });

  it('run() keeps nothing but what it returns', () => {
    const { images, labels } = batchOf(4);
    const before = tf.memory().numTensors;
    const { loss, logits, squares, gradients } = whole.run(images, labels, 7);
    equal(tf.memory().numTensors, before + 3 + gradients.length);
    tf.dispose([loss, logits, squares, ...gradients, images, labels]);
  });
});
