/** Response norms by TensorFlow's own ops, differentiable by tfjs's tape. float32, NHWC. */
import * as tf from '@tensorflow/tfjs';
import { differentiable, matMul, run } from './differentiable.js';

/** x / (k + alpha · Σ x²)^0.75, Σ over neighbours: paper §3.3. */
export interface NormFactors {
  k: number;
  alpha: number;
}

/**
 * Local response norm across channels, with power 0.75. TensorFlow's own op takes a logarithm, an exponential and, in
 * its gradient, a power of every value; a product with a band matrix and two square roots are faster.
 * @param radius neighbours on each side.
 */
export function channelNorm(x: tf.Tensor4D, radius: number, factors: NormFactors): tf.Tensor4D {
  const channels = x.shape[3];
  return norm(x, factors, (values, factor) => {
    const band = bandMatrix(channels, radius, factor);
    const flat = tf.reshape(values, [-1, channels]);
    return tf.reshape(matMul(flat, band, false, false), x.shape);
  });
}

/** [n, n]: `value` up to `radius` beside the diagonal, zeros elsewhere. */
function bandMatrix(n: number, radius: number, value: number): tf.Tensor2D {
  const values = Float32Array.from({ length: n * n }, (_, i) =>
    Math.abs(Math.floor(i / n) - (i % n)) <= radius ? value : 0,
  );
  return tf.tensor2d(values, [n, n]);
}

/** Local response norm within each map, power 0.75, over a window of `size` × `size` (odd) with zeros around the map. */
export function mapNorm(x: tf.Tensor4D, size: number, factors: NormFactors): tf.Tensor4D {
  return norm(x, factors, (values, factor) => {
    const edge: [number, number] = [(size - 1) / 2, (size - 1) / 2];
    const padded = tf.pad(values as tf.Tensor4D, [[0, 0], edge, edge, [0, 0]]);
    return tf.mul(tf.avgPool(padded as tf.Tensor4D, size, 1, 'valid'), size ** 2 * factor);
  });
}

/** @param sum a factor times the sum of each value's neighbours; who is whose neighbour is symmetric. */
function norm(
  x: tf.Tensor4D,
  { k, alpha }: NormFactors,
  sum: (values: tf.Tensor, factor: number) => tf.Tensor,
): tf.Tensor4D {
  let kept: tf.Tensor[] = [];
  const forward = () => {
    const base = tf.add(sum(run('Square', [x]), alpha), k);
    // Square roots and quotients are rounded correctly, which TensorFlow's powers and inverse roots are not; and dividing
    // twice keeps apart what one division by base^0.75 makes equal, on which a maximum would choose the wrong one.
    const root = run('Sqrt', [base]);
    const y = run('RealDiv', [run('RealDiv', [x, root]), run('Sqrt', [root])]);
    kept = [x, y, base, root];
    return y;
  };
  return differentiable(
    [x],
    forward,
    () => kept,
    (dy, [input, y, base, root]) => [
      () => {
        const power = tf.mul(root!, run('Sqrt', [root!])); // base^0.75
        const spread = sum(run('RealDiv', [tf.mul(dy, y!), base!]), 1.5 * alpha);
        return tf.sub(run('RealDiv', [dy, power]), tf.mul(input!, spread));
      },
    ],
  ) as tf.Tensor4D;
}
