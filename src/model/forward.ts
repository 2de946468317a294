/** What the tower net and the reference net have in common: how a net is run. */
import tf = require('@tensorflow/tfjs');

import type { PlacedLayer, Shape, Site, TowerIndex } from './net.js';
import type { Ops } from './ops.js';

/** A named value on the way through the net. */
export interface Captured {
  /** `tower0/pool2`: what the layer makes, after what follows it up to the next named layer; `tower0/conv3/input`. */
  name: string;
  layer: string;
  kind: 'input' | 'activation';
  /** Belongs to whoever ran the net; not to be disposed of by who captures it. */
  tensor: tf.Tensor;
}

/** What a net is run with. */
export interface Run {
  ops: Ops;
  /** By the names of `parametersOf`. */
  parameters: ReadonlyMap<string, tf.Tensor>;
  training: boolean;
  /**
   * Ones where an activation is kept and zeros elsewhere, [B, C].
   * @param channels C, those of one tower.
   */
  mask(layer: string, tower: TowerIndex, batch: number, channels: number): tf.Tensor;
  /** Is shown every named value, when there is one to show them to. */
  capture?: (value: Captured) => void;
}

/** Both towers' halves of what a layer reads; the exchange gives it, for the model knows no thread. */
export type Gather = (own: tf.Tensor, site: Site) => tf.Tensor;

/** [B, H, W, C] as [B, H·W·C], row-major; what is flat stays so. */
export function flat(x: tf.Tensor): tf.Tensor2D {
  return x.rank === 2 ? (x as tf.Tensor2D) : tf.reshape(x, [x.shape[0]!, x.size / x.shape[0]!]);
}

/** Layers without parameters and with the same result however many towers' channels `x` has. */
export function pointwise(
  x: tf.Tensor,
  layer: Extract<PlacedLayer, { kind: 'activation' | 'pool' | 'mapNorm' }>,
  ops: Ops,
): tf.Tensor {
  switch (layer.kind) {
    case 'activation':
      return ops.activation(x, layer.function);
    case 'pool':
      return ops.pool(x as tf.Tensor4D, layer);
    case 'mapNorm':
      return ops.mapNorm(x as tf.Tensor4D, layer);
  }
}

/**
 * Dropout as in 2012 (`scale` `test`: the mask as it is in training, the factor at test, paper §4.2), or as most do
 * today (`train`: divided by the factor in training, nothing at test).
 * @param mask gives the mask, in training only.
 */
export function dropout(
  x: tf.Tensor,
  { keep, scale }: Extract<PlacedLayer, { kind: 'dropout' }>,
  training: boolean,
  mask: () => tf.Tensor,
): tf.Tensor {
  if (!training) return scale === 'test' ? tf.mul(x, keep) : x;
  const kept = tf.mul(x, mask());
  return scale === 'train' ? tf.div(kept, keep) : kept;
}

/** A parameter by its name. */
export function parameterOf<T extends tf.Tensor>({ parameters }: Run, tower: TowerIndex, path: string): T {
  const found = parameters.get(`tower${tower}/${path}`);
  if (!found) throw new Error(`the net has no parameter tower${tower}/${path}`);
  return found as T;
}

/** Channels in one tower's output. */
export function channelsOf(shape: Shape): number {
  return shape[2];
}
