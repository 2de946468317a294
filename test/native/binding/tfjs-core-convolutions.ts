/** Convolutions and pools, with every kind of pad, and of empty tensors. */
import tf = require('@tensorflow/tfjs');

import { type Calls, calls, type Loose, spread } from './tfjs-core-calls.js';
import { type Case, type Kind, tensorOf } from './tfjs-core-values.js';

const UNEVEN = [[0, 0], [1, 0], [0, 1], [0, 0]]; // biome-ignore format: a row
const PADS: readonly Loose[] = ['same', 'valid', 1, UNEVEN];
const ACTIVATIONS = ['relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu', 'linear'] as const;
export type Activation = (typeof ACTIVATIONS)[number];
const WINDOWS: readonly Loose[] = [[2, 1], [2, 2], [3, 2], [[1, 3], [2, 1]], [1, 1]]; // biome-ignore format: a table

export function convolutionsAndPools(): Case[] {
  const all = calls();
  for (const pad of PADS) {
    convolutions(all, pad);
    fused(all, pad);
    pools(all, pad);
  }
  for (const pad of ['same', 'valid'] as const) ofNothing(all, pad);
  others(all);
  return all.cases;
}

function convolutions({ both }: Calls, pad: Loose): void {
  const image = [2, 5, 6, 2];
  for (const strides of [1, 2, [2, 1]] as Loose) {
    const what = `pad ${pad}, strides ${strides}`;
    both('conv2d', what, [image, [3, 2, 2, 3]], (x, f) => tf.conv2d(x, f, strides, pad));
    both('depthwiseConv2d', what, [image, [3, 2, 2, 2]], (x, f) => tf.depthwiseConv2d(x, f, strides, pad));
  }
  const what = `pad ${pad}`;
  const dilated = `${what}, dilated`;
  both('conv2d', dilated, [image, [2, 3, 2, 2]], (x, f) => tf.conv2d(x, f, 1, pad, 'NHWC', 2));
  both('depthwiseConv2d', dilated, [image, [2, 3, 2, 2]], (x, f) => tf.depthwiseConv2d(x, f, 1, pad, 'NHWC', 2));
  both('conv1d', what, [[2, 7, 2], [3, 2, 2]], (x, f) => tf.conv1d(x, f, 2, pad)); // biome-ignore format: a row
  both('conv3d', what, [[1, 4, 5, 3, 2], [2, 2, 2, 2, 3]], (x, f) => tf.conv3d(x, f, [1, 2, 1], pad)); // biome-ignore format: a row
  both('dilation2d', what, [image, [2, 3, 2]], (x, f) => tf.dilation2d(x, f, 1, pad));
  const separable = [image, [3, 3, 2, 2], [1, 1, 4, 3]];
  both('separableConv2d', what, separable, (x, f, point) => tf.separableConv2d(x, f, point, 1, pad));
  const [to, strides] = pad === 'same' ? [[1, 6, 6, 3], 2] : [[1, 4, 4, 3], 1];
  const transposed = [[1, 3, 3, 2], [2, 2, 3, 2]]; // biome-ignore format: a row
  both('conv2dTranspose', what, transposed, (x, f) => tf.conv2dTranspose(x, f, to as Loose, strides as number, pad));
}

/** The further arguments of a fused op. */
export function activated(activation: Activation, bias: tf.Tensor, weights: tf.Tensor): Loose {
  const prelu = activation === 'prelu' && { preluActivationWeights: weights };
  return { activation, bias, leakyreluAlpha: 0.3, ...prelu };
}

function fused({ both }: Calls, pad: Loose): void {
  const [bias, weights] = [[2], [2]];
  for (const activation of ACTIVATIONS) {
    const what = `${activation}, pad ${pad}`;
    both('fused.conv2d', what, [[1, 4, 4, 2], [2, 2, 2, 2], bias, weights], (x, filter, b, w) =>
      tf.fused.conv2d({ x, filter, strides: 1, pad, ...activated(activation, b, w) }),
    ); // biome-ignore format: inputs in a row
    both('fused.depthwiseConv2d', what, [[1, 4, 4, 2], [2, 2, 2, 1], bias, weights], (x, filter, b, w) =>
      tf.fused.depthwiseConv2d({ x, filter, strides: 1, pad, ...activated(activation, b, w) }),
    ); // biome-ignore format: inputs in a row
  }
}

function pools({ both }: Calls, pad: Loose): void {
  const values: Record<string, () => tf.Tensor[]> = {
    mixed: () => [spread([2, 5, 6, 2])],
    'all negative': () => [tf.sub(spread([2, 5, 6, 2]), 5)], // the padding must not count as a 0
  };
  for (const [window, strides] of WINDOWS) {
    for (const [name, inputs] of Object.entries(values)) {
      const what = `${name}, window ${window}, strides ${strides}, pad ${pad}`;
      both('maxPool', what, inputs, (x) => tf.maxPool(x, window, strides, pad));
      both('avgPool', what, inputs, (x) => tf.avgPool(x, window, strides, pad));
    }
  }
  const what = `pad ${pad}`;
  both('maxPool3d', what, [[1, 4, 4, 3, 2]], (x) => tf.maxPool3d(tf.sub(x, 5), 2, 2, pad));
  both('avgPool3d', what, [[1, 4, 4, 3, 2]], (x) => tf.avgPool3d(x, 2, 1, pad));
  for (const kind of ['max', 'avg'] as const) {
    both(`pool ${kind}`, `${what}, dilated`, [[1, 6, 6, 2]], (x) => tf.pool(x, 2, kind, pad, 2));
  }
}

function ofNothing({ both }: Calls, pad: 'same' | 'valid'): void {
  const what = `no images, ${pad}`;
  const [none, filter] = [[0, 5, 6, 2], [3, 2, 2, 3]]; // biome-ignore format: shapes
  const to = (pad === 'same' ? [0, 5, 6, 3] : [0, 7, 7, 3]) as Loose;
  const rest = { strides: 1, pad, activation: 'relu' } as const;
  both('conv2d', what, [none, filter], (x, f) => tf.conv2d(x, f, 2, pad));
  both('depthwiseConv2d', what, [none, filter], (x, f) => tf.depthwiseConv2d(x, f, 2, pad));
  both('conv2dTranspose', what, [none, [3, 2, 3, 2]], (x, f) => tf.conv2dTranspose(x, f, to, 1, pad));
  both('conv3d', what, [[0, 4, 4, 4, 2], [2, 2, 2, 2, 3]], (x, f) => tf.conv3d(x, f, 1, pad)); // biome-ignore format: a row
  both('fused.conv2d', what, [none, filter], (x, f) => tf.fused.conv2d({ x, filter: f, ...rest }));
  both('fused.depthwiseConv2d', what, [none, filter], (x, f) => tf.fused.depthwiseConv2d({ x, filter: f, ...rest }));
  both('maxPool', what, [none], (x) => tf.maxPool(x, 2, 2, pad));
  both('avgPool', what, [none], (x) => tf.avgPool(x, 2, 2, pad));
}

function others({ call, both }: Calls): void {
  const first = [[2, 2, 5, 6], [3, 2, 2, 3]]; // biome-ignore format: shapes
  both('conv2d', 'channels first', first, (x, f) => tf.conv2d(x, f, 1, 'same', 'NCHW'));
  both('depthwiseConv2d', 'channels first', first, (x, f) => tf.depthwiseConv2d(x, f, 1, 'same', 'NCHW'));
  const transposed = [[1, 2, 2, 2, 2], [2, 2, 2, 3, 2]]; // biome-ignore format: shapes
  both('conv3dTranspose', '', transposed, (x, f) => tf.conv3dTranspose(x, f, [1, 4, 4, 4, 3], 2, 'same'));
  const odd = () => tensorOf([1, 6, 6, 2], 'float32');
  const what = 'NaN and infinities';
  const filtered = () => [odd(), spread([2, 2, 2, 3], 1)];
  both('conv2d', what, filtered, (x, f) => tf.conv2d(x, f, 1, 'valid'));
  const alone = () => [odd()];
  both('maxPool', what, alone, (x) => tf.maxPool(x, 2, 2, 'valid'));
  both('avgPool', what, alone, (x) => tf.avgPool(x, 2, 2, 'valid'));
  const lowest = () => [tf.fill([1, 4, 4, 1], Number.NEGATIVE_INFINITY)];
  both('maxPool', '-infinity alone', lowest, (x) => tf.maxPool(x, 2, 2, 'valid'));
  for (const dtype of ['int32', 'bool', 'complex64'] as const) {
    for (const kind of ['edges', 'tame'] satisfies Kind[]) {
      const [flat, deep] = [[1, 4, 4, 2], [1, 4, 4, 2, 2]].map((shape) => () => [tensorOf(shape, dtype, 0, kind)]); // biome-ignore format: shapes
      call('maxPool', kind, flat!, (x) => tf.maxPool(x, 2, 1, 'same'), dtype);
      call('avgPool', kind, flat!, (x) => tf.avgPool(x, 2, 1, 'same'), dtype);
      call('maxPool3d', kind, deep!, (x) => tf.maxPool3d(x, 2, 1, 'same'), dtype);
    }
  }
}
