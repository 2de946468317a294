/**
 * The forward pass, twice: one tower's part of it, and the whole net on one device as the reference to compare with. Both
 * run the same layers; only the tower knows of an exchange.
 *
 * Legend: B batch; H, W height and width; C channels of one tower; K kernels or units of one tower. float32 throughout.
 */
import tf = require('@tensorflow/tfjs');

import { isWeighted, type Net, type PlacedLayer, type Site, type TowerIndex, volume } from './net.js';
import type { Ops } from './ops.js';

/** A named value of the forward pass. */
export interface Captured {
  /**
   * `tower0/conv3/input`: what a layer reads at a site. `tower0/pool2`: what the layer computes, after the layers without
   * a name that follow it.
   */
  name: string;
  layer: string;
  kind: 'input' | 'activation';
  /** Belongs to the forward pass: `capture` must not dispose of it. */
  tensor: tf.Tensor;
}

/** What a net is run with. */
export interface Run {
  ops: Ops;
  /** By the names of `parametersOf`. */
  parameters: ReadonlyMap<string, tf.Tensor>;
  /** Whether dropout masks are applied. */
  training: boolean;
  /**
   * Dropout mask [B, K]: ones where a unit is kept, zeros elsewhere.
   * @param units K; for maps H·W·K
   */
  mask(layer: string, tower: TowerIndex, batch: number, units: number): tf.Tensor;
  /** Receives every named value. */
  capture?: (value: Captured) => void;
  /** Runs what computes a layer, so that its ops can be recognized. @param layer name, see {@link layerGroups}. */
  within?: <T>(layer: string, action: () => T) => T;
}

/** Returns both towers' channels: the own tower's [B, H, W, C] and the peer's, joined to [B, H, W, 2C]. */
export type Gather = (own: tf.Tensor, site: Site) => tf.Tensor;

/** How a tower's forward pass ends: with the net's output, or with what it sent to the tower that has the last layer. */
export type TowerOutput =
  | { output: tf.Tensor }
  /** A scalar 0. Differentiating it receives the gradient of what was sent. */
  | { sent: tf.Tensor };

/**
 * Runs one tower.
 * @param images [B, S, S, C], the same in both towers.
 * @param gather the exchange; blocks until the peer's channels are there.
 */
export function towerForward(net: Net, tower: TowerIndex, images: tf.Tensor4D, gather: Gather, run: Run): TowerOutput {
  const ends = groupEnds(net.layers);
  const groups = layerGroups(net.layers);
  let x: tf.Tensor = images;
  for (const [i, layer] of net.layers.entries()) {
    if (layer.site) {
      x = gather(x, layer.site); // [B, H, W, C] → [B, H, W, 2C]
      if (!layer.towers.includes(tower)) return { sent: x };
      capture(run, tower, layer.site.name, 'input', x);
    }
    const input = x;
    x = within(run, groups[i]!, () => runLayer(layer, tower, input, run)); // → [B, H', W', K]; [B, K] from the first dense layer on
    if (ends[i]) capture(run, tower, ends[i], 'activation', x);
  }
  return { output: x };
}

/**
 * Runs the whole net on one device: the reference, and what `single` trains. Each tower's channels stay in a tensor of
 * their own until a layer reads both. So a grouped convolution needs no copy, and every op has the same shape as in a
 * tower and rounds alike.
 * @param images [B, S, S, C]
 * @returns logits [B, K].
 */
export function referenceForward(net: Net, images: tf.Tensor4D, run: Run): tf.Tensor2D {
  const ends = groupEnds(net.layers);
  const groups = layerGroups(net.layers);
  let parts: ReadonlyMap<TowerIndex, tf.Tensor> | undefined; // by tower; none before the first layer
  for (const [i, layer] of net.layers.entries()) {
    const inputs = parts;
    let joined: tf.Tensor | undefined;
    if (inputs && isWeighted(layer) && layer.reach === 'both') {
      const both = inputs;
      joined = within(run, groups[i]!, () => join(both)); // [B, H, W, C] of each tower → [B, H, W, 2C]
      for (const tower of layer.towers) capture(run, tower, layer.name, 'input', joined);
    }
    const inputOf = (tower: TowerIndex) => joined ?? inputs?.get(tower) ?? images;
    const compute = (tower: TowerIndex) => within(run, groups[i]!, () => runLayer(layer, tower, inputOf(tower), run));
    parts = new Map(layer.towers.map((tower) => [tower, compute(tower)]));
    if (ends[i]) for (const [tower, tensor] of parts) capture(run, tower, ends[i], 'activation', tensor);
  }
  return join(parts!) as tf.Tensor2D;
}

/** All channels, tower 0's first. */
function join(parts: ReadonlyMap<TowerIndex, tf.Tensor>): tf.Tensor {
  const tensors = [...parts.values()];
  return tensors.length === 1 ? tensors[0]! : tf.concat(tensors, tensors[0]!.rank - 1);
}

/** Runs one layer in one tower. @param x [B, H, W, C], or [B, C] after a dense layer; 2C at a site. */
export function runLayer(layer: PlacedLayer, tower: TowerIndex, x: tf.Tensor, run: Run): tf.Tensor {
  const { ops } = run;
  switch (layer.kind) {
    case 'conv':
    case 'dense': {
      const bias = parameter<tf.Tensor1D>(run, `tower${tower}/${layer.name}/bias`);
      const kernel = `tower${tower}/${layer.name}/kernel`;
      if (layer.kind === 'dense') return ops.dense(flat(x), parameter(run, kernel), bias);
      return ops.conv(x as tf.Tensor4D, parameter(run, kernel), bias, layer);
    }
    case 'activation':
      return ops.activation(x, layer.function);
    case 'pool':
      return ops.pool(x as tf.Tensor4D, layer);
    case 'norm':
      return ops.norm(x as tf.Tensor4D, layer);
    case 'mapNorm':
      return ops.mapNorm(x as tf.Tensor4D, layer);
    case 'dropout': {
      const { name, keep, scale, output } = layer;
      if (!run.training) return scale === 'test' ? tf.mul(x, keep) : x; // paper §4.2: halved outputs at test time
      const mask = run.mask(name, tower, x.shape[0]!, volume(output));
      const kept = tf.mul(x, x.rank === 2 ? mask : tf.reshape(mask, x.shape));
      return scale === 'train' ? tf.div(kept, keep) : kept;
    }
  }
}

/** [B, H, W, C] → [B, H·W·C], row-major. */
function flat(x: tf.Tensor): tf.Tensor2D {
  return x.rank === 2 ? (x as tf.Tensor2D) : tf.reshape(x, [x.shape[0]!, x.size / x.shape[0]!]);
}

function parameter<T extends tf.Tensor>(run: Run, name: string): T {
  const found = run.parameters.get(name);
  if (!found) throw new Error(`the net has no parameter ${name}`);
  return found as T;
}

function capture(run: Run, tower: TowerIndex, layer: string, kind: Captured['kind'], tensor: tf.Tensor): void {
  const name = `tower${tower}/${layer}${kind === 'input' ? '/input' : ''}`;
  run.capture?.({ name, layer, kind, tensor });
}

function within<T>(run: Run, layer: string, action: () => T): T {
  return run.within ? run.within(layer, action) : action();
}

/** The name of the group of each layer: a layer with a name, and the layers without one that follow it. */
export function layerGroups(layers: readonly PlacedLayer[]): string[] {
  let group = '';
  return layers.map((layer) => {
    if ('name' in layer) group = layer.name;
    return group;
  });
}

/** @returns for each layer, the name of the group that ends with it, if one does. */
export function groupEnds(layers: readonly PlacedLayer[]): (string | undefined)[] {
  return layerGroups(layers).map((group, i) => {
    const next = layers[i + 1];
    return next === undefined || 'name' in next ? group : undefined;
  });
}
