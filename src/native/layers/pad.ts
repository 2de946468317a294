/** Zeros around a tensor, differentiable by tfjs's tape. float32. */
import tf = require('@tensorflow/tfjs');

import { AttrType, DataType } from '../c/signatures.js';
import { differentiable, run, T } from './differentiable.js';

const PADDINGS = [T, { name: 'Tpaddings', type: AttrType.TYPE, value: DataType.INT32 }];
const INDEX = [T, { name: 'Index', type: AttrType.TYPE, value: DataType.INT32 }];

/**
 * As `tf.pad` with zeros, by the op that has no other value: TensorFlow wants the value of tfjs's op in host memory, and a
 * GPU would have to hand it over at each call.
 * @param paddings zeros before and after, for each axis.
 */
export function zeroPad(x: tf.Tensor4D, paddings: readonly (readonly [number, number])[]): tf.Tensor4D {
  const ints = (values: readonly number[]) => tf.tensor1d([...values], 'int32');
  const forward = () => run('Pad', [x, tf.tensor2d(paddings.flat(), [x.rank, 2], 'int32')], PADDINGS);
  return differentiable([x], forward, [], (dy) => [
    () => run('Slice', [dy, ints(paddings.map(([before]) => before)), ints(x.shape)], INDEX),
  ]) as tf.Tensor4D;
}
