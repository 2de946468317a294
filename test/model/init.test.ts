import assert from 'node:assert/strict';
import { before, test } from 'node:test';

import tf = require('@tensorflow/tfjs');

import { initialValue, type MaskPlace, maskOf, maskSeed, type StatelessRandom } from '../../src/model/init.js';
import { buildNet, type NetOptions, type Parameter, parametersOf } from '../../src/model/net.js';
import { JS_RANDOM, tinyNet } from './draws.js';

before(() => tf.setBackend('cpu'));

/** Returns one number instead of a whole tensor, and records shapes and seeds. */
function constantRandom(value: number): { random: StatelessRandom; seeds: string[]; shapes: (readonly number[])[] } {
  const seeds: string[] = [];
  const shapes: (readonly number[])[] = [];
  const fill = (shape: readonly number[], seed: readonly [number, number]) => {
    assert.ok(
      seed.every((word) => Number.isInteger(word) && word >= 0 && word < 2 ** 31),
      'fits int32',
    );
    seeds.push(String(seed));
    shapes.push(shape);
    return tf.tensor1d([value]);
  };
  return { random: { normal: fill, uniform: fill }, seeds, shapes };
}

/** The one value that a parameter is filled with. */
function filling(parameter: Parameter, init: NetOptions['init'], drawn: number): number {
  const { random, shapes } = constantRandom(drawn);
  const tensor = initialValue(parameter, init, 1, random);
  assert.deepEqual(shapes.length > 0 ? shapes : [tensor.shape], [[...parameter.shape]]);
  assert.equal(tensor.dtype, 'float32');
  const [first, ...others] = new Set(tensor.dataSync());
  assert.deepEqual(others, []);
  return first!;
}

const FULL = parametersOf(
  buildNet({
    table: 'original',
    width: 1,
    inputSize: 224,
    inputChannels: 3,
    classes: 10,
    init: 'table',
    dropout: true,
  }),
);
const byName = (name: string) => FULL.find((each) => each.name === name)!;

function assertNear(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) <= 1e-6 * Math.abs(expected), `${found}, expected ${expected}`);
}

test('initialValue() `table` has the deviations of the code of 2012', () => {
  for (const [layer, sd] of Object.entries({ conv1: 0.01, conv2: 0.01, conv3: 0.03, conv5: 0.03, fc8: 0.01 })) {
    assertNear(filling(byName(`tower0/${layer}/kernel`), 'table', 1), sd);
  }
});

test('initialValue() of a bias is the value of the table, or 0', () => {
  const biases = ['conv1', 'conv2', 'conv3', 'conv4', 'conv5', 'fc6', 'fc7', 'fc8'].map((each) =>
    byName(`tower0/${each}/bias`),
  );
  assert.deepEqual(
    biases.map((each) => filling(each, 'table', 9)),
    [0, 1, 0, 1, 1, 1, 1, 0],
  );
  for (const init of ['he', 'xavier'] as const) assert.ok(biases.every((each) => filling(each, init, 9) === 0));
});

test('initialValue() `he` has the variance 2 / fan-in', () => {
  // conv1 reads 11 × 11 × 3, conv2 its tower's 48 channels, conv3 both towers' 256, fc6 all of 6 × 6 × 256.
  const fanIns = { conv1: 363, conv2: 25 * 48, conv3: 9 * 256, conv4: 9 * 192, fc6: 9216, fc7: 4096 };
  for (const [layer, fanIn] of Object.entries(fanIns)) {
    assertNear(filling(byName(`tower1/${layer}/kernel`), 'he', 1), Math.sqrt(2 / fanIn));
  }
});

test('initialValue() `xavier` is uniform between its limits', () => {
  // What one input goes into: of conv3 both towers' 384 kernels, of fc8 the 10 classes of its home.
  const fans = { conv3: [9 * 256, 9 * 384], fc7: [4096, 4096], fc8: [4096, 10] };
  for (const [layer, [fanIn, fanOut]] of Object.entries(fans)) {
    const limit = Math.sqrt(6 / (fanIn! + fanOut!));
    assertNear(filling(byName(`tower0/${layer}/kernel`), 'xavier', 0), -limit);
    assertNear(filling(byName(`tower0/${layer}/kernel`), 'xavier', 1), limit);
  }
});

// nn.Conv2d and nn.Linear: kaiming_uniform_(a=sqrt(5)), and the biases within 1 / sqrt(fan-in).
test('initialValue() `pytorch` is uniform within 1 / √fan-in, kernels and biases with numbers of their own', () => {
  for (const [layer, fanIn] of Object.entries({ conv1: 363, conv2: 25 * 48, fc6: 9216 })) {
    for (const role of ['kernel', 'bias']) {
      const parameter = byName(`tower1/${layer}/${role}`);
      assertNear(filling(parameter, 'pytorch', 0), -1 / Math.sqrt(fanIn));
      assertNear(filling(parameter, 'pytorch', 1), 1 / Math.sqrt(fanIn));
    }
  }
  const seedOf = (name: string, init: NetOptions['init']) => {
    const { random, seeds } = constantRandom(1);
    initialValue(byName(name), init, 1, random).dispose();
    return seeds.join();
  };
  assert.notEqual(seedOf('tower0/conv1/bias', 'pytorch'), seedOf('tower0/conv1/kernel', 'pytorch'));
  assert.equal(seedOf('tower0/conv1/kernel', 'pytorch'), seedOf('tower0/conv1/kernel', 'xavier'));
});

test('initialValue() depends on the parameter name and the seed, and on nothing else', () => {
  const seedsOf = (parameters: readonly Parameter[], seed: number) => {
    const kernels = parameters.filter(({ role }) => role === 'kernel');
    return new Map(
      kernels.map((each) => {
        const { random, seeds } = constantRandom(1);
        initialValue(each, 'he', seed, random).dispose();
        return [each.name, seeds.join()];
      }),
    );
  };
  const whole = seedsOf(FULL, 1);
  assert.equal(new Set(whole.values()).size, whole.size, 'each kernel has its own');
  // One tower alone, another width, another table.
  for (const net of [tinyNet('original'), tinyNet('paper'), tinyNet('tutorial')]) {
    for (const tower of [0, 1] as const) {
      for (const [name, seed] of seedsOf(parametersOf(net, tower), 1)) assert.equal(seed, whole.get(name), name);
    }
  }
  for (const [name, seed] of seedsOf(FULL, 2)) assert.notEqual(seed, whole.get(name));
});

test('maskOf() has ones and zeros, with the share `keep` of ones', () => {
  const place = { seed: 1, layer: 'drop6', tower: 0, step: 1 };
  for (const keep of [0.5, 0.8]) {
    const mask = dropoutMask([100, 100], keep, place);
    assert.deepEqual([mask.shape, mask.dtype], [[100, 100], 'float32']);
    const values = [...mask.dataSync()];
    assert.deepEqual([...new Set(values)].sort(), [0, 1]);
    const share = values.filter((each) => each === 1).length / values.length;
    // Five standard deviations.
    assert.ok(Math.abs(share - keep) < 5 * Math.sqrt((keep * (1 - keep)) / 10_000), `${share} of ${keep}`);
  }
});

test('maskOf() differs for each seed, layer, tower and step, and is reproducible', () => {
  const place = { seed: 1, layer: 'drop6', tower: 0, step: 1 };
  const at = (change: Partial<typeof place>) => String(dropoutMask([4, 32], 0.5, { ...place, ...change }).dataSync());
  const masks = [{}, { seed: 2 }, { layer: 'drop7' }, { tower: 1 }, { step: 2 }].map(at);
  assert.equal(new Set(masks).size, masks.length);
  assert.equal(at({}), masks[0]);
});

function dropoutMask(shape: readonly number[], keep: number, place: MaskPlace): tf.Tensor {
  return maskOf(JS_RANDOM.uniform(shape, maskSeed(place)), keep);
}
