/** One tower's half of the net. */
import type * as tf from '@tensorflow/tfjs';
import { channelsOf, dropout, flat, type Gather, groupEnds, parameterOf, pointwise, type Run } from './forward.js';
import { homeOf, isWeighted, type Net, sitesOf, type TowerIndex } from './net.js';

/** Where a tower's pass through the net ends. */
export interface TowerOutput {
  /** [B, K] in the tower that is the home of the last layer. */
  logits?: tf.Tensor2D;
  /** In the other tower: what it sent last, a scalar 0 to be differentiated so that its gradient comes. */
  sent?: tf.Tensor;
}

/**
 * Runs one tower.
 * @param images [B, S, S, C], the same in both towers.
 * @param gather how both towers' halves come together; blocks until the peer is there too.
 */
export function towerForward(net: Net, tower: TowerIndex, images: tf.Tensor4D, run: Run, gather: Gather): TowerOutput {
  const sites = new Map(sitesOf(net).map((site) => [site.name, site]));
  const ends = groupEnds(net.layers);
  let x: tf.Tensor = images;
  for (const [i, layer] of net.layers.entries()) {
    if (isWeighted(layer)) {
      const site = sites.get(layer.name);
      if (site) x = gather(x, site);
      const home = homeOf(layer);
      if (home !== undefined && home !== tower) return { sent: x };
      if (site)
        run.capture?.({ name: `tower${tower}/${layer.name}/input`, layer: layer.name, kind: 'input', tensor: x });
      const bias = parameterOf<tf.Tensor1D>(run, tower, `${layer.name}/bias`);
      x =
        layer.kind === 'conv'
          ? run.ops.conv(x as tf.Tensor4D, parameterOf(run, tower, `${layer.name}/kernel`), bias, layer)
          : run.ops.dense(flat(x), parameterOf(run, tower, `${layer.name}/kernel`), bias);
    } else if (layer.kind === 'norm') {
      x = run.ops.norm(x as tf.Tensor4D, layer);
    } else if (layer.kind === 'dropout') {
      const before = x;
      x = dropout(x, layer, run.training, () =>
        run.mask(layer.name, tower, before.shape[0]!, channelsOf(layer.output)),
      );
    } else {
      x = pointwise(x, layer, run.ops);
    }
    const name = ends[i];
    if (name) run.capture?.({ name: `tower${tower}/${name}`, layer: name, kind: 'activation', tensor: x });
  }
  return { logits: x as tf.Tensor2D };
}
