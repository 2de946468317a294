/** Initial values of parameters. */
import tf = require('@tensorflow/tfjs');

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

/** Where a dropout mask [B, C] is drawn: it is a function of the run's seed, the layer, the tower and the step. */
export interface MaskPlace {
  seed: number;
  layer: string;
  tower: number;
  step: number;
}

/** The generator's seed of a mask: two words that fit int32. */
export function maskSeed({ seed, layer, tower, step }: MaskPlace): [number, number] {
  return seedPair(seed, PURPOSE.dropout, layer, tower, step);
}

/**
 * A dropout mask.
 * @param numbers uniform from 0 to below 1, of the mask's shape.
 * @param keep the share of ones.
 * @returns float32, ones and zeros; the caller's.
 */
export function maskOf(numbers: tf.Tensor, keep: number): tf.Tensor {
  return tf.cast(tf.less(numbers, keep), 'float32');
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
