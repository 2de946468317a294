/** What the native layers are written with: TensorFlow's ops by name, on tfjs's tape. */
import type * as tf from '@tensorflow/tfjs';
import { runOp } from '../binding/backend.js';
import type { OpAttr } from '../c/attributes.js';
import { AttrType, DataType } from '../c/signatures.js';
import { runOnTape } from '../graph/tape.js';

export const T: OpAttr = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
export const NHWC: OpAttr = { name: 'data_format', type: AttrType.STRING, value: 'NHWC' };

/** One gradient for each input, made when it is asked for. */
type Gradients = readonly (() => tf.Tensor)[];

/**
 * Runs `forward` as one operation of the tape.
 * @param saved what the gradients need: tensors, the result, or a function that gives them after `forward`.
 */
export function differentiable(
  inputs: readonly tf.Tensor[],
  forward: () => tf.Tensor,
  saved: readonly tf.Tensor[] | 'result' | (() => readonly tf.Tensor[]),
  gradients: (dy: tf.Tensor, saved: readonly tf.Tensor[]) => Gradients,
): tf.Tensor {
  const [result] = runOnTape({
    inputs,
    forward: (save) => {
      const result = forward();
      save(saved === 'result' ? [result] : typeof saved === 'function' ? saved() : saved);
      return [result];
    },
    backward: ([dy], kept) => gradients(dy!, kept),
  });
  return result!;
}

/** An op with one result. */
export function run(op: string, inputs: tf.Tensor[], attrs: OpAttr[] = [T]): tf.Tensor {
  return runOp(op, inputs, attrs)[0]!;
}

/** a · b, each transposed or not. */
export function matMul(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  return run(
    'MatMul',
    [a, b],
    [
      T,
      { name: 'transpose_a', type: AttrType.BOOL, value: transposeA },
      { name: 'transpose_b', type: AttrType.BOOL, value: transposeB },
    ],
  );
}
