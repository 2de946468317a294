/** Initial values of parameters. */
import * as tf from '@tensorflow/tfjs';
import { draw, nameWord, PURPOSE } from '../random.js';
import type { NetOptions, Parameter } from './net.js';

/** A random generator without a state: the same seed gives the same tensor, on any device. */
export interface StatelessRandom {
  /** Mean 0, deviation 1. */
  normal(shape: readonly number[], seed: readonly [number, number]): tf.Tensor;
  /** From 0 to below 1. */
  uniform(shape: readonly number[], seed: readonly [number, number]): tf.Tensor;
}

/**
 * A parameter's initial value, a function of the run's seed and the parameter's name.
 *
 * `table`: normal with the table's deviation, biases as the table has them (paper §5). `he`: normal with variance
 * 2 / fan-in (He et al. 2015, arXiv:1502.01852). `xavier`: uniform within √(6 / (fan-in + fan-out)) (Glorot and Bengio,
 * AISTATS 2010). Both have biases of 0. The fan-in of a kernel is what one tower's output sums over.
 * @returns float32; the caller's.
 */
export function initialValue(
  parameter: Parameter,
  init: NetOptions['init'],
  seed: number,
  random: StatelessRandom,
): tf.Tensor {
  const { role, shape, fanIn, fanOut } = parameter;
  if (role === 'bias') return tf.fill([...shape], init === 'table' ? parameter.init.bias : 0);
  const place = seedPair(seed, PURPOSE.init, parameter.layer, parameter.tower, 0);
  return tf.tidy(() => {
    if (init === 'xavier') {
      const limit = Math.sqrt(6 / (fanIn + fanOut));
      return tf.mul(tf.sub(random.uniform(shape, place), 0.5), 2 * limit);
    }
    return tf.mul(random.normal(shape, place), init === 'he' ? Math.sqrt(2 / fanIn) : parameter.init.sd);
  });
}

/**
 * A dropout mask [B, C] of ones and zeros, a function of the run's seed, the layer, the tower and the step.
 * @param keep the share of ones.
 */
export function dropoutMask(
  shape: readonly [number, number],
  keep: number,
  place: { seed: number; layer: string; tower: number; step: number },
  random: StatelessRandom,
): tf.Tensor {
  const seed = seedPair(place.seed, PURPOSE.dropout, place.layer, place.tower, place.step);
  return tf.tidy(() => tf.cast(tf.less(random.uniform(shape, seed), keep), 'float32'));
}

/** Two words of 31 bits, which fit int32. */
function seedPair(
  seed: number,
  purpose: (typeof PURPOSE)[keyof typeof PURPOSE],
  layer: string,
  tower: number,
  step: number,
): [number, number] {
  const [first, second] = draw(seed, purpose, nameWord(layer), tower, step);
  return [first >>> 1, second >>> 1];
}
