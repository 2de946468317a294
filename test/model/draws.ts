/** A generator without a state in plain JavaScript, parameters and runs for small nets, for tests on any backend. */
import tf = require('@tensorflow/tfjs');

import type { Captured, Run } from '../../src/model/forward.js';
import { initialValue, maskOf, maskSeed, type StatelessRandom } from '../../src/model/init.js';
import { buildNet, type Net, type NetOptions, parametersOf, type TowerIndex } from '../../src/model/net.js';
import { TFJS_OPS } from '../../src/model/ops.js';
import { philox, unit } from '../../src/random.js';

/** Normal by Box and Muller, uniform by philox. */
export const JS_RANDOM: StatelessRandom = {
  normal: (shape, seed) =>
    filled(shape, seed, ([a, b]) => Math.sqrt(-2 * Math.log(1 - unit(a))) * Math.cos(2 * Math.PI * unit(b))),
  uniform: (shape, seed) => filled(shape, seed, ([a]) => unit(a)),
};

function filled(
  shape: readonly number[],
  [k0, k1]: readonly [number, number],
  value: (words: [number, number, number, number]) => number,
): tf.Tensor {
  const size = shape.reduce((product, each) => product * each, 1);
  const values = Float32Array.from({ length: size }, (_, i) => value(philox([i, 0, 0, 0], [k0, k1])));
  return tf.tensor(values, [...shape]);
}

/** A net so narrow that plain JavaScript runs it in a moment. */
export function tinyNet(table: NetOptions['table']): Net {
  const sizes = {
    original: { width: 0.02, inputSize: 67, inputChannels: 3 },
    paper: { width: 0.02, inputSize: 67, inputChannels: 3 },
    'one-gpu': { width: 0.1, inputSize: 67, inputChannels: 3 },
    columns: { width: 0.02, inputSize: 67, inputChannels: 3 },
    tutorial: { width: 0.02, inputSize: 67, inputChannels: 1 },
    torchvision: { width: 0.02, inputSize: 95, inputChannels: 3 },
    lenet: { width: 1, inputSize: 28, inputChannels: 1 },
    cifar: { width: 0.1, inputSize: 32, inputChannels: 3 },
  };
  return buildNet({ table, ...sizes[table], classes: 5, init: 'he', dropout: true });
}

/** Two images for a net. */
export function imagesFor({ options: { inputSize, inputChannels } }: Net): tf.Tensor4D {
  return JS_RANDOM.normal([2, inputSize, inputSize, inputChannels], [1, 2]) as tf.Tensor4D;
}

/** All parameters with their initial values, and masks by seed 3 and step 1; `captured` fills when the net is run. */
export function runFor(net: Net, training: boolean): { run: Run; captured: Captured[] } {
  const captured: Captured[] = [];
  const values = parametersOf(net).map((each) => [each.name, initialValue(each, 'he', 3, JS_RANDOM)] as const);
  const run: Run = {
    ops: TFJS_OPS,
    parameters: new Map(values),
    training,
    mask: (layer: string, tower: TowerIndex, batch: number, channels: number) =>
      maskOf(JS_RANDOM.uniform([batch, channels], maskSeed({ seed: 3, layer, tower, step: 1 })), 0.5),
    capture: (value) => captured.push(value),
  };
  return { run, captured };
}

/** A captured value's numbers. */
export function valuesOf(captured: readonly Captured[], name: string, kind = 'activation'): number[] {
  const found = captured.find((each) => each.name === name && each.kind === kind);
  if (!found) throw new Error(`nothing was captured of ${name}`);
  return [...found.tensor.dataSync()];
}
