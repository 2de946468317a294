/** What the native layers are built from: TensorFlow's ops by name, and operations of one result on tfjs's tape. */
import type * as tf from '@tensorflow/tfjs';
import { runOp } from '../binding/backend.js';
import type { OpAttr } from '../c/attributes.js';
import { AttrType, DataType } from '../c/signatures.js';
import { runOnTape, type Save } from '../graph/tape.js';

export type { Save };

export const T: OpAttr = { name: 'T', type: AttrType.TYPE, value: DataType.FLOAT };
export const NHWC: OpAttr = { name: 'data_format', type: AttrType.STRING, value: 'NHWC' };

/**
 * Runs `forward` as one operation of the tape.
 * @param forward computes the result, and saves the tensors that `gradients` needs.
 * @param gradients returns one for each input, computed only if it is asked for.
 */
export function differentiable(
  inputs: readonly tf.Tensor[],
  forward: (save: Save) => tf.Tensor,
  gradients: (dy: tf.Tensor, saved: readonly tf.Tensor[]) => readonly (() => tf.Tensor)[],
): tf.Tensor {
  const [result] = runOnTape({
    inputs,
    forward: (save) => [forward(save)],
    backward: ([dy], saved) => gradients(dy!, saved),
  });
  return result!;
}

/** Runs an op with one result. */
export function run(op: string, inputs: tf.Tensor[], attrs: OpAttr[] = [T]): tf.Tensor {
  return runOp(op, inputs, attrs)[0]!;
}

/** a · b, each transposed or not. */
export function matMul(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  const transpose = (name: string, value: boolean) => ({ name, type: AttrType.BOOL, value });
  return run('MatMul', [a, b], [T, transpose('transpose_a', transposeA), transpose('transpose_b', transposeB)]);
}
