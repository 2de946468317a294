/** Whether numbers are numbers, at the price of one look at them. */
import * as tf from '@tensorflow/tfjs';
import { run } from './differentiable.js';

/**
 * Half of the sum of the squares of all values in all tensors: not finite when one of them is not, or when they are too
 * large for a float32. One op a tensor, each of which reads its tensor once.
 */
export function halfSquares(tensors: readonly tf.Tensor[]): tf.Scalar {
  return tf.tidy(() => tf.addN(tensors.map((tensor) => run('L2Loss', [tensor])))) as tf.Scalar;
}
