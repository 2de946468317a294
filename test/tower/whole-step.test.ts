import { deepEqual, equal, fail, notDeepEqual, ok, throws } from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { type Exchanger, gather } from '../../src/exchange/index.js';
import { buildNet, type Net, parametersOf } from '../../src/model/net.js';
import { currentBinding, useDevice } from '../../src/native/binding/backend.js';
import type { OnTheWay } from '../../src/tower/accompany.js';
import { nativeOps } from '../../src/tower/native-ops.js';
import { Parameters } from '../../src/tower/parameters.js';
import type { TowerSetup } from '../../src/tower/protocol.js';
import { Runner } from '../../src/tower/runner.js';
import { isOneCall, WholeStep } from '../../src/tower/whole-step.js';
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

/** A step as one call, of the whole net. */
function atOnce(step: WholeStep, images: tf.Tensor4D, labels: tf.Tensor1D, number: number) {
  let loss: Float32Array | undefined;
  let logits: Float32Array | undefined;
  const { gradients, squares } = step.run(images, labels, number, {
    transport: undefined,
    turn: (...answers) => {
      [loss, logits] = answers.map((each) => each!.dataSync() as Float32Array);
    },
  });
  return { loss: loss![0]!, logits: logits!, gradients, squares };
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

/** A peer that sends what it is sent, halved, and where that is nothing, a number of its own. Notes what is done, in order. */
function mirror(did: string[] = []): Exchanger {
  const sent = new Map<string, Float32Array>();
  const receive: Exchanger['receive'] = (shape, { site, direction }) => {
    did.push(`${site} ${direction} in`);
    const values = sent.get(`${site} ${direction}`);
    sent.delete(`${site} ${direction}`);
    return values ? tf.tidy(() => tf.mul(tf.tensor(values, [...shape]), 0.5)) : tf.fill([...shape], 0.25);
  };
  return {
    send(tensor, { site, direction }) {
      did.push(`${site} ${direction} out`);
      // Where there is a home, nothing comes back.
      if (site !== 'fc8') sent.set(`${site} ${direction}`, tensor.dataSync() as Float32Array);
    },
    receive,
    receiveFor(shape, place, compute) {
      const tensor = receive(shape, place);
      try {
        return compute(tensor);
      } finally {
        tensor.dispose();
      }
    },
  };
}

const BOTH = ['conv3', 'fc6', 'fc7'].flatMap((site) => [`${site} forward out`, `${site} forward in`]);
const BACK = ['fc7', 'fc6', 'conv3'].flatMap((site) => [`${site} backward out`, `${site} backward in`]);
/** By tower: 0 is the home of the last layer. */
const ORDER = [
  [...BOTH, 'fc8 forward in', 'turn', 'fc8 backward out', ...BACK],
  [...BOTH, 'fc8 forward out', 'turn', 'fc8 backward in', ...BACK],
];

/** A step of one tower as one call. */
function towerAtOnce(step: WholeStep, { images, labels }: ReturnType<typeof batchOf>, number: number) {
  const loss: number[] = [];
  const order: string[] = [];
  const { gradients, squares } = step.run(images, labels, number, {
    transport: mirror(order),
    turn(value) {
      order.push('turn');
      if (value) loss.push(value.dataSync()[0]!);
    },
  });
  return { loss, order, gradients, squares };
}

describe('WholeStep', () => {
  const whole = new WholeStep({ ...options, part: 'whole', parameters });
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
        const one = atOnce(whole, images, labels, 5);
        const other = byTape(runner, parameters, images, labels, 5);
        equal(one.loss, other.loss.dataSync()[0]);
        deepEqual(one.logits, other.logits.dataSync());
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
      const one = new WholeStep({ ...options, net: small, part: 'whole', parameters: own, compile: mode });
      const other = new Runner({ ...options, net: small, part: 'whole' });
      tf.tidy(() => {
        const { images, labels } = batchOf(4, [28, 28, 1]);
        const [mine, taped] = [atOnce(one, images, labels, 5), byTape(other, own, images, labels, 5)];
        const expected = valuesOf([taped.loss, ...taped.gradients]) as Float32Array[];
        const found = [Float32Array.of(mine.loss), ...(valuesOf(mine.gradients) as Float32Array[])];
        for (const [i, values] of found.entries()) ok(difference(values, expected[i]!).relative < 1e-5);
      });
      for (const each of [one, other, own]) each.dispose();
    });
  }

  for (const tower of [0, 1] as const) {
    for (const mode of ['on', 'grappler'] as const) {
      it(`run() of tower ${tower}, compile ${mode}, has the loss and gradients of the tape`, () => {
        const own = new Parameters(parametersOf(net, tower), 'he', optimizer, 1, 'on');
        const given = { ...options, compile: mode, part: tower };
        const one = new WholeStep({ ...given, parameters: own });
        const other = new Runner(given);
        const before = tf.memory().numTensors;
        for (const count of [4, 3, 4]) {
          tf.tidy(() => {
            const batch = batchOf(count);
            const { loss, gradients, order, squares } = towerAtOnce(one, batch, 5);
            const losses: number[] = [];
            const peer = mirror();
            const { grads } = tf.valueAndGrads((...values: tf.Tensor[]) => {
              const outcome = other.run({
                ...{ ...batch, step: 5, training: true, gather: (x, site) => gather(x, site, tower, 5, peer) },
                parameters: new Map(own.names.map((name, i) => [name, values[i]!])),
              });
              if ('sent' in outcome) return outcome.sent as tf.Scalar;
              losses.push(outcome.loss.dataSync()[0]!);
              return outcome.loss;
            })(own.read());
            equal(loss.length, 1 - tower); // tower 0 has the last layer
            const [found, expected] = [
              [Float32Array.from(loss), ...valuesOf(gradients)],
              [Float32Array.from(losses), ...valuesOf(grads)],
            ];
            // The graph optimizer has other graphs to go over.
            if (mode === 'on') deepEqual(found, expected);
            for (const [i, each] of found.entries()) {
              ok(difference(each as Float32Array, expected[i] as Float32Array).relative < 1e-5);
            }
            ok(squares.dataSync()[0]! > 0);
            deepEqual(order, ORDER[tower]);
          });
        }
        equal(tf.memory().numTensors, before);
        for (const each of [one, other, own]) each.dispose();
      });
    }
  }

  for (const phase of ['send', 'forward', 'turn', 'backward'] as const) {
    it(`run() of a tower ends with what fails at ${phase}, and the next step is as if nothing had been`, () => {
      const own = new Parameters(parametersOf(net, 0), 'he', optimizer, 1, 'on');
      const one = new WholeStep({ ...options, part: 0, parameters: own });
      const batch = batchOf(4);
      const expected = towerAtOnce(one, batch, 5);
      const [before, held] = [tf.memory().numTensors, currentBinding().getNumOfTensors()];
      const gone = () => fail('the peer is gone');
      const transport = mirror();
      const { send, receiveFor } = transport;
      transport.send = (tensor, place) => (place.site === 'fc7' && phase === 'send' ? gone() : send(tensor, place));
      transport.receiveFor = (shape, place, compute) =>
        place.site === 'fc6' && place.direction === phase ? gone() : receiveFor(shape, place, compute);
      const way: OnTheWay = { transport, turn: () => (phase === 'turn' ? gone() : undefined) };
      throws(
        () => tf.tidy(() => void one.run(batch.images, batch.labels, 5, way)),
        /^AssertionError.*the peer is gone$/,
      );
      const found = towerAtOnce(one, batch, 5);
      deepEqual(found.loss, expected.loss);
      deepEqual(valuesOf(found.gradients), valuesOf(expected.gradients));
      tf.dispose([found.squares, ...found.gradients]);
      equal(tf.memory().numTensors, before);
      equal(currentBinding().getNumOfTensors(), held);
      tf.dispose([expected.squares, ...expected.gradients, batch.images, batch.labels]);
      for (const each of [one, own]) each.dispose();
    });
  }

  it('run() has half of the sum of the squares of all gradients', () => {
    tf.tidy(() => {
      const { images, labels } = batchOf(4);
      const { squares, gradients } = atOnce(whole, images, labels, 5);
      const expected = gradients.flatMap((each) => [...each.dataSync()]).reduce((sum, g) => sum + g ** 2 / 2, 0);
      equal(Math.abs(squares.dataSync()[0]! / expected - 1) < 1e-5, true, `${squares.dataSync()[0]} and ${expected}`);
    });
  });

  it('run() draws its dropout anew in each step, and reads the parameters as they are', () => {
    tf.tidy(() => {
      const { images, labels } = batchOf(4);
      const lossOf = (step: number) => atOnce(whole, images, labels, step).loss;
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
    const { squares, gradients } = atOnce(whole, images, labels, 7);
    equal(tf.memory().numTensors, before + 1 + gradients.length);
    tf.dispose([squares, ...gradients, images, labels]);
  });
});

describe('isOneCall()', () => {
  const setup = { exchange: { overlap: false }, part: 0, compile: 'on' } as unknown as TowerSetup;
  const cases: [string, Partial<TowerSetup>, boolean][] = [
    ['a tower', {}, true],
    ['a tower by the graph optimizer', { compile: 'grappler' }, true],
    ['a tower by XLA, which has no way out', { compile: 'xla' }, false],
    ['a tower op by op', { compile: 'off' }, false],
    ['a tower that begins with its own half', { exchange: { ...setup.exchange, overlap: true } }, false],
    ['the whole net by XLA', { part: 'whole', compile: 'xla' }, true],
    ['the whole net op by op', { part: 'whole', compile: 'off' }, false],
  ];
  for (const [what, given, expected] of cases) {
    it(`isOneCall() is ${expected} for ${what}`, () => equal(isOneCall({ ...setup, ...given }), expected));
  }
});
