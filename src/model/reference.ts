/**
 * The reference: the whole net on one device. It shares the operations with the towers and nothing of the exchange; it is
 * also what `single` trains. Towers' channels lie in a tensor each until a layer reads both: so no copy is made for a
 * grouped convolution, and every op has the shape that it has in a tower, which rounds alike.
 */
import tf = require('@tensorflow/tfjs');

import { channelsOf, dropout, flat, parameterOf, pointwise, type Run } from './forward.js';
import { isWeighted, type Net, type PlacedLayer, type TowerIndex, towersOf, type WeightedLayer } from './net.js';
import { groupEnds } from './segments.js';

/** What a layer makes: one tensor a tower that has it, by tower. The images are no tower's. */
type Parts = ReadonlyMap<TowerIndex, tf.Tensor>;

/**
 * Runs the whole net.
 * @param images [B, S, S, C].
 * @returns logits [B, K].
 */
export function referenceForward(net: Net, images: tf.Tensor4D, run: Run): tf.Tensor2D {
  const ends = groupEnds(net.layers);
  let parts: Parts | undefined;
  for (const [i, layer] of net.layers.entries()) {
    if (isWeighted(layer)) {
      parts = weighted(parts, images, layer, run);
    } else {
      const before = [...parts!];
      parts = new Map(before.map(([tower, x]) => [tower, unweighted(x, tower, layer, run)]));
    }
    const name = ends[i];
    if (!name) continue;
    for (const [tower, tensor] of parts) {
      run.capture?.({ name: `tower${tower}/${name}`, layer: name, kind: 'activation', tensor });
    }
  }
  return joined(parts!) as tf.Tensor2D;
}

/** @param parts none before the first layer. */
function weighted(parts: Parts | undefined, images: tf.Tensor4D, layer: WeightedLayer, run: Run): Parts {
  const whole = parts && layer.reach === 'both' ? joined(parts) : undefined;
  const made = towersOf(layer).map((tower): [TowerIndex, tf.Tensor] => {
    // Both towers read the same; a layer with a home is read by one.
    if (whole)
      run.capture?.({ name: `tower${tower}/${layer.name}/input`, layer: layer.name, kind: 'input', tensor: whole });
    const x = whole ?? parts?.get(tower) ?? images;
    const bias = parameterOf<tf.Tensor1D>(run, tower, `${layer.name}/bias`);
    const kernel = `${layer.name}/kernel`;
    return layer.kind === 'conv'
      ? [tower, run.ops.conv(x as tf.Tensor4D, parameterOf(run, tower, kernel), bias, layer)]
      : [tower, run.ops.dense(flat(x), parameterOf(run, tower, kernel), bias)];
  });
  return new Map(made);
}

function unweighted(x: tf.Tensor, tower: TowerIndex, layer: Exclude<PlacedLayer, WeightedLayer>, run: Run): tf.Tensor {
  if (layer.kind === 'norm') return run.ops.norm(x as tf.Tensor4D, layer);
  if (layer.kind !== 'dropout') return pointwise(x, layer, run.ops);
  return dropout(x, layer, run.training, () => run.mask(layer.name, tower, x.shape[0]!, channelsOf(layer.output)));
}

/** All channels, tower 0's first. */
function joined(parts: Parts): tf.Tensor {
  const tensors = [...parts.values()];
  return tensors.length === 1 ? tensors[0]! : tf.concat(tensors, tensors[0]!.rank - 1);
}
