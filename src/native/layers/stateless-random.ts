/** TensorFlow's random generators without a state (`StatelessRandomNormal`, `StatelessRandomUniform`). */
import tf = require('@tensorflow/tfjs');

import { runOp } from '../binding/backend.js';
import { AttrType, DataType } from '../c/signatures.js';

/** Two words, or an int32 tensor [2] of them, which stays the caller's. */
export type Seed = readonly [number, number] | tf.Tensor;

/** Float32, mean 0 and deviation 1; a function of the shape and the seed. @returns the caller's. */
export function statelessNormal(shape: readonly number[], seed: Seed): tf.Tensor {
  return stateless('StatelessRandomNormal', shape, seed);
}

/** Float32 from 0 to below 1; a function of the shape and the seed. @returns the caller's. */
export function statelessUniform(shape: readonly number[], seed: Seed): tf.Tensor {
  return stateless('StatelessRandomUniform', shape, seed);
}

function stateless(op: string, shape: readonly number[], seed: Seed): tf.Tensor {
  const sizes = tf.tensor1d([...shape], 'int32');
  const words = Array.isArray(seed) ? tf.tensor1d(seed, 'int32') : (seed as tf.Tensor);
  const attrs = [
    { name: 'dtype', type: AttrType.TYPE, value: DataType.FLOAT },
    { name: 'T', type: AttrType.TYPE, value: DataType.INT32 },
    { name: 'Tseed', type: AttrType.TYPE, value: DataType.INT32 },
  ];
  try {
    return runOp(op, [sizes, words], attrs)[0]!;
  } finally {
    sizes.dispose();
    if (words !== seed) words.dispose();
  }
}
