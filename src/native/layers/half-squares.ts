/** Whether numbers are numbers, at the price of one look at them. */
import tf = require('@tensorflow/tfjs');

import { run } from './differentiable.js';

/**
 * Half of the sum of the squares of all values in all tensors: not finite when one of them is not, or when they are too
 * large for a float32. One op a tensor, each of which reads its tensor once; vectors, which biases are, go together.
 */
export function halfSquares(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => {
    const vectors = tensors.filter(({ rank }) => rank === 1) as tf.Tensor1D[];
    const others = tensors.filter(({ rank }) => rank !== 1);
    const joined = vectors.length > 0 ? [tf.concat(vectors)] : [];
    return tf.addN([...joined, ...others].map((tensor) => run('L2Loss', [tensor])));
  }) as tf.Scalar;
}
