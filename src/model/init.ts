/** Initial values of parameters, and dropout masks; both are functions of the run's seed. */
import tf = require('@tensorflow/tfjs');

import { draw, nameWord, PURPOSE, type Words } from '../random.js';
import type { NetOptions, Parameter } from './net.js';

/** Two words of 31 bits, which fit int32. */
type Seed = readonly [number, number];

/** A random generator without a state: equal seeds give equal tensors on every device. */
export interface StatelessRandom {
  /** Mean 0, standard deviation 1. */
  normal(shape: readonly number[], seed: Seed): tf.Tensor;
  /** From 0 to below 1. */
  uniform(shape: readonly number[], seed: Seed): tf.Tensor;
}

/**
 * A parameter's initial value, a function of the run's seed, the parameter's name and the purpose.
 *
 * `table`: normal with the table's deviation; biases as in the table (paper §5). `he`: normal with variance 2 / fan-in
 * (He et al. 2015, arXiv:1502.01852). `xavier`: uniform within √(6 / (fan-in + fan-out)) (Glorot and Bengio, AISTATS 2010).
 * Biases of the latter two are 0. `pytorch`: kernels and biases uniform within 1 / √fan-in, the default of PyTorch's layers
 * (`reset_parameters` of `nn.Conv2d` and `nn.Linear`).
 * @returns float32; the caller's.
 */
export function initialValue(
  { layer, tower, role, shape, fanIn, fanOut, init: { sd, bias } }: Parameter,
  init: NetOptions['init'],
  seed: number,
  random: StatelessRandom,
  purpose: typeof PURPOSE.init | typeof PURPOSE.newHead = PURPOSE.init,
): tf.Tensor {
  if (role === 'bias' && init !== 'pytorch') return tf.fill([...shape], init === 'table' ? bias : 0);
  const place = seedOf(draw(seed, purpose, nameWord(layer), tower, role === 'bias' ? 1 : 0));
  return tf.tidy(() => {
    if (init === 'xavier' || init === 'pytorch') {
      const limit = init === 'xavier' ? Math.sqrt(6 / (fanIn + fanOut)) : 1 / Math.sqrt(fanIn);
      return tf.mul(tf.sub(random.uniform(shape, place), 0.5), 2 * limit);
    }
    return tf.mul(random.normal(shape, place), init === 'he' ? Math.sqrt(2 / fanIn) : sd);
  });
}

/** What a dropout mask is a function of. */
export type MaskPlace = { seed: number; layer: string; tower: number; step: number };

/** The seed of the uniform numbers of a dropout mask. */
export function maskSeed({ seed, layer, tower, step }: MaskPlace): [number, number] {
  return seedOf(draw(seed, PURPOSE.dropout, nameWord(layer), tower, step));
}

/**
 * A dropout mask of ones and zeros.
 * @param numbers uniform from 0 to below 1, [B, K].
 * @param keep share of ones.
 * @returns float32 [B, K]; the caller's.
 */
export function maskOf(numbers: tf.Tensor, keep: number): tf.Tensor {
  return tf.cast(tf.less(numbers, keep), 'float32');
}

function seedOf([first, second]: Words): [number, number] {
  return [first >>> 1, second >>> 1];
}
