/** TensorFlow's random generators without a state: equal seeds give equal numbers. */
import tf = require('@tensorflow/tfjs');

import { runOp } from '../binding/backend.js';
import { attr } from '../c/attributes.js';
import { DataType } from '../c/signatures.js';

/** Two integers, or an int32 tensor [2], which stays the caller's. */
export type Seed = readonly [number, number] | tf.Tensor;

/** Normal with mean 0 and standard deviation 1. @returns float32, the caller's; depends on shape and seed alone. */
export function statelessNormal(shape: readonly number[], seed: Seed): tf.Tensor {
  return stateless('StatelessRandomNormal', shape, seed);
}

/** Uniform from 0 to below 1. @returns float32, the caller's; depends on shape and seed alone. */
export function statelessUniform(shape: readonly number[], seed: Seed): tf.Tensor {
  return stateless('StatelessRandomUniform', shape, seed);
}

const ATTRS = [attr.type('dtype', DataType.FLOAT), attr.type('T', DataType.INT32), attr.type('Tseed', DataType.INT32)];

function stateless(op: string, shape: readonly number[], seed: Seed): tf.Tensor {
  return tf.tidy(() => {
    const words = seed instanceof tf.Tensor ? seed : tf.tensor1d([...seed], 'int32');
    return runOp(op, [tf.tensor1d([...shape], 'int32'), words], ATTRS)[0]!;
  });
}
