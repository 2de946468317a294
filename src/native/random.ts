/** TensorFlow's random generators without a state (`StatelessRandomNormal`, `StatelessRandomUniform`). */
import * as tf from '@tensorflow/tfjs';
import { runOp } from './backend.js';
import { AttrType, DataType } from './signatures.js';

/** Float32, mean 0 and deviation 1; a function of the shape and the seed. @returns the caller's. */
export function statelessNormal(shape: readonly number[], seed: readonly [number, number]): tf.Tensor {
  return stateless('StatelessRandomNormal', shape, seed);
}

/** Float32 from 0 to below 1; a function of the shape and the seed. @returns the caller's. */
export function statelessUniform(shape: readonly number[], seed: readonly [number, number]): tf.Tensor {
  return stateless('StatelessRandomUniform', shape, seed);
}

function stateless(op: string, shape: readonly number[], seed: readonly [number, number]): tf.Tensor {
  const inputs = [tf.tensor1d([...shape], 'int32'), tf.tensor1d([...seed], 'int32')];
  const attrs = [
    { name: 'dtype', type: AttrType.TYPE, value: DataType.FLOAT },
    { name: 'T', type: AttrType.TYPE, value: DataType.INT32 },
    { name: 'Tseed', type: AttrType.TYPE, value: DataType.INT32 },
  ];
  try {
    return runOp(op, inputs, attrs)[0]!;
  } finally {
    tf.dispose(inputs);
  }
}
