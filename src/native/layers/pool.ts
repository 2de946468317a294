/** Max pooling with oneDNN's op, which keeps where each maximum was, so that the gradient need not find it again. */
import tf = require('@tensorflow/tfjs');

import { currentBinding, runOp } from '../binding/backend.js';
import type { PinnedBinding } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import { AttrType, DataType } from '../c/signatures.js';
import { differentiable, NHWC, run, T } from './differentiable.js';

/** oneDNN's ops in TensorFlow bear this label, which its own graph rewriting sets. */
const ONE_DNN: OpAttr = { name: '_kernel', type: AttrType.STRING, value: 'MklNameChangeOp' };
const WORKSPACE: OpAttr = { name: 'workspace_enabled', type: AttrType.BOOL, value: true };

/**
 * The largest value of each window; windows that do not fit whole are left out. Of equal values the first one gets the
 * gradient.
 * @param x [B, H, W, C].
 */
export function maxPool(x: tf.Tensor4D, size: number, stride: number): tf.Tensor4D {
  if (!currentBinding().can('max pool by oneDNN', tryOneDnn)) return tf.maxPool(x, size, stride, 'valid');
  const attrs = [...poolAttrs(size, stride), WORKSPACE, ONE_DNN];
  let kept: tf.Tensor[] = [];
  const forward = () => {
    const [pooled, places] = runOp('_MklNativeMaxPool', [x], attrs, 2);
    // TensorFlow gives what a function's input came from its label too, and has no kernel of that label for an input.
    const y = run('Identity', [pooled!]);
    kept = [x, y, run('Identity', [places!], [{ ...T, value: DataType.UINT8 }])];
    return y;
  };
  return differentiable(
    [x],
    forward,
    () => kept,
    (dy, [input, y, places]) => [() => run('_MklNativeMaxPoolGrad', [input!, y!, dy, places!], attrs)],
  ) as tf.Tensor4D;
}

function poolAttrs(size: number, stride: number): OpAttr[] {
  return [
    T,
    NHWC,
    { name: 'ksize', type: AttrType.INT, value: [1, size, size, 1] },
    { name: 'strides', type: AttrType.INT, value: [1, stride, stride, 1] },
    { name: 'padding', type: AttrType.STRING, value: 'VALID' },
  ];
}

/** Pools one value forward and backward. */
function tryOneDnn(binding: PinnedBinding): void {
  const attrs = [...poolAttrs(1, 1), WORKSPACE, ONE_DNN];
  const ids = [binding.createTensor([1, 1, 1, 1], DataType.FLOAT, Float32Array.of(1))];
  try {
    ids.push(...binding.executeOp('_MklNativeMaxPool', attrs, ids, 2).map(({ id }) => id));
    const [x, y, places] = ids as [number, number, number];
    ids.push(...binding.executeOp('_MklNativeMaxPoolGrad', attrs, [x, y, x, places], 1).map(({ id }) => id));
    binding.tensorDataSync(ids.at(-1)!);
  } finally {
    for (const id of ids) binding.deleteTensor(id);
  }
}
