import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { CheckpointError, NativeError } from '../../src/errors.js';
import { buildNet, type Net, parametersOf } from '../../src/model/net.js';
import { currentBinding } from '../../src/native/binding/backend.js';
import { useDevice } from '../../src/native/index.js';
import type { OptimizerOptions } from '../../src/optim/schedule.js';
import { Parameters } from '../../src/tower/parameters.js';

const folder = fs.mkdtempSync(join(tmpdir(), 'alexnet-split-parameters-'));
before(() => useDevice('CPU:0'));
after(() => fs.rmSync(folder, { recursive: true }));

const OPTIMIZER: OptimizerOptions = {
  learningRate: 0.5,
  momentum: 0.9,
  weightDecay: 0.1,
  biasRateFactor: 2,
  biasDecay: 0,
  schedule: { kind: 'constant' },
};
const NET = lenetOf(10);

function lenetOf(classes: number): Net {
  const size = { width: 1, inputSize: 28, inputChannels: 1 };
  return buildNet({ table: 'lenet', ...size, classes, init: 'xavier', dropout: false });
}

/** The parameters of a tower, or of the whole net. */
function parametersFor(tower: 0 | 1 | undefined, seed = 1, net = NET): Parameters {
  return new Parameters(parametersOf(net, tower), 'xavier', OPTIMIZER, seed);
}

function valuesOf(parameters: Parameters, name: string): number[] {
  const tensor = parameters.readOne(name);
  const values = [...tensor.dataSync()];
  tensor.dispose();
  return values;
}

const KERNEL = 'tower0/conv2/kernel';
const BIAS = 'tower0/conv2/bias';

test('Parameters start with values that depend on the seed, the same in a tower and in the whole net', () => {
  const [whole, tower, other] = [parametersFor(undefined), parametersFor(1), parametersFor(1, 2)];
  assert.deepEqual(
    tower.names,
    whole.names.filter((name) => name.startsWith('tower1/')),
  );
  assert.equal(tower.names.length, 8); // fc5 is tower 0's
  for (const name of tower.names) assert.deepEqual(valuesOf(tower, name), valuesOf(whole, name));
  const name = 'tower1/fc3/kernel';
  assert.notDeepEqual(valuesOf(other, name), valuesOf(whole, name));
});

test('Parameters.update() gives kernels and biases their own rates', () => {
  const parameters = parametersFor(0);
  const before = valuesOf(parameters, KERNEL);
  parameters.put(BIAS, new Float32Array(8).fill(3));
  const gradients = parameters.described.map(({ shape }) => tf.ones([...shape]));
  parameters.update(gradients, 0.25);
  // Kernel: -0.1 · 0.25 · w - 0.25 · 1. Bias: twice the rate, no decay.
  assert.deepEqual(new Set(valuesOf(parameters, BIAS)), new Set([2.5]));
  valuesOf(parameters, KERNEL).forEach((value, i) => {
    const expected = before[i]! - 0.025 * before[i]! - 0.25;
    assert.ok(Math.abs(value - expected) < 1e-6, `${value}, not ${expected}`);
  });
  tf.dispose(gradients);
});

/** conv1 slower after epoch 1, and still after epoch 2. */
const OWN: OptimizerOptions = {
  ...OPTIMIZER,
  weightDecay: 0,
  momentum: 0.5,
  ownRates: [
    { layer: 'conv1', after: 1, factor: 0.5 },
    { layer: 'conv1', after: 2, factor: 0 },
  ],
};

for (const compile of ['on', 'off'] as const) {
  test(`Parameters.update() follows layer-specific rates over the epochs, with compile ${compile}`, () => {
    const parameters = new Parameters(parametersOf(NET, 0), 'xavier', OWN, 1, compile);
    const gradients = parameters.described.map(({ shape }) => tf.ones([...shape]));
    const names = ['tower0/conv1/kernel', 'tower0/conv1/bias', KERNEL];
    const moves = (learningRate: number, epoch: number) => {
      const before = names.map((name) => valuesOf(parameters, name));
      parameters.update(gradients, learningRate, epoch);
      const after = names.map((name) => valuesOf(parameters, name));
      return after.map((values, i) => Number((before[i]![0]! - values[0]!).toFixed(5)));
    };
    // Each step moves by half of the last move and the rate. Own rates are of OPTIMIZER's 0.5.
    assert.deepEqual(moves(0.5, 1), [0.5, 1, 0.5]);
    assert.deepEqual(moves(0.1, 2), [0.25 + 0.25, 0.5 + 0.25, 0.25 + 0.1]);
    const still = names.slice(0, 2).map((name) => valuesOf(parameters, name));
    for (let i = 0; i < 3; i++) assert.deepEqual(moves(0.1, 3).slice(0, 2), [0, 0]);
    assert.deepEqual(
      names.slice(0, 2).map((name) => valuesOf(parameters, name)),
      still,
      'bit for bit',
    );
    assert.ok(moves(0.1, 3)[2]! > 0.1, 'the others go on');
    // Velocities stood still too: 0.5 of the last move, 0.5 and 0.75, and the rate.
    assert.deepEqual(moves(0.1, 2).slice(0, 2), [0.25 + 0.25, 0.375 + 0.25]);
    parameters.dispose();
    tf.dispose(gradients);
  });
}

test('Parameters.update() traces once, and once more when a layer is frozen', () => {
  const parameters = new Parameters(parametersOf(NET, 0), 'xavier', OWN, 1, 'on');
  const gradients = parameters.described.map(({ shape }) => tf.ones([...shape]));
  for (const [rate, epoch] of [
    [0.5, 1],
    [0.4, 1],
    [0.3, 2],
    [0.2, 2],
    [0.1, 3],
    [0.1, 4],
  ] as const) {
    parameters.update(gradients, rate, epoch);
  }
  assert.equal(parameters.traces, 2);
  tf.dispose(gradients);
});

test('Parameters.put() replaces a value and sets its velocity to zero', () => {
  const parameters = parametersFor(0);
  const gradients = (value: number) => parameters.described.map(({ shape }) => tf.fill([...shape], value));
  const [ones, zeros] = [gradients(1), gradients(0)];
  parameters.update(ones, 1);
  parameters.put(BIAS, new Float32Array(8).fill(4));
  parameters.update(zeros, 1);
  assert.deepEqual(new Set(valuesOf(parameters, BIAS)), new Set([4]));
  assert.notDeepEqual(new Set(valuesOf(parameters, 'tower0/conv1/bias')), new Set([-2]), 'the others go on');
  assert.throws(() => parameters.put(BIAS, new Float32Array(7)), NativeError);
  assert.throws(() => parameters.put('tower1/conv2/bias', new Float32Array(8)), /no parameter tower1\/conv2\/bias/);
  tf.dispose([...ones, ...zeros]);
});

test('Parameters.save() and load(): two towers into the whole net, and back', () => {
  const towers = [parametersFor(0, 5), parametersFor(1, 6)] as const;
  const files = towers.map((tower, i) => {
    const file = join(folder, `half-${i}.safetensors`);
    tower.save(file, { part: String(i) });
    return file;
  });
  const whole = parametersFor(undefined, 7);
  whole.load(files);
  for (const tower of towers)
    for (const name of tower.names) assert.deepEqual(valuesOf(whole, name), valuesOf(tower, name));
  const file = join(folder, 'whole.safetensors');
  whole.save(file, {});
  const again = parametersFor(1, 8);
  again.load([file]);
  for (const name of again.names) assert.deepEqual(valuesOf(again, name), valuesOf(whole, name));
});

test('Parameters.load() refuses files without one of the parameters, and files of another net', () => {
  const file = join(folder, 'one.safetensors');
  parametersFor(1).save(file, {});
  const isAbout = (text: RegExp) => (error: CheckpointError) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.equal(error.path, file);
    assert.match(error.message, text);
    return true;
  };
  assert.throws(
    () => parametersFor(undefined).load([file]),
    isAbout(/none of .*one\.safetensors has tower0\/conv1\/kernel/),
  );
  parametersFor(0).save(file, {});
  const text = /tower0\/fc5\/kernel has the shape \[84,10\] there, and \[84,7\] in this net/;
  assert.throws(() => parametersFor(0, 1, lenetOf(7)).load([file]), isAbout(text));
});

test('Parameters.load() closes every file, even if the last cannot be opened', (t) => {
  if (!fs.existsSync('/proc/self/fd')) return t.skip('there is no /proc/self/fd to count open files in');
  const file = join(folder, 'closed.safetensors');
  const parameters = parametersFor(0);
  parameters.save(file, {});
  const isOpen = () =>
    fs.readdirSync('/proc/self/fd').some((fd) => linkOf(`/proc/self/fd/${fd}`) === fs.realpathSync(file));
  assert.throws(() => parameters.load([file, join(folder, 'missing')]), /it is not there/);
  assert.equal(isOpen(), false);
  parameters.load([file]);
  assert.equal(isOpen(), false);
});

test('Parameters leaves no tensors behind', () => {
  const parameters = parametersFor(0);
  const file = join(folder, 'memory.safetensors');
  const gradients = parameters.described.map(({ shape }) => tf.ones([...shape]));
  const work = () => {
    tf.dispose(parameters.read());
    parameters.update(gradients, 0.1);
    parameters.put(BIAS, new Float32Array(8));
    parameters.save(file, {});
    parameters.load([file]);
  };
  work();
  const { numTensors } = tf.memory();
  const handles = currentBinding().getNumOfTensors();
  for (let i = 0; i < 5; i++) work();
  assert.deepEqual([tf.memory().numTensors, currentBinding().getNumOfTensors()], [numTensors, handles]);
  tf.dispose(gradients);
});

function linkOf(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined; // the listing's own descriptor
  }
}
