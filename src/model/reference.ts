/**
 * The reference: the whole net on one device, its grouped convolutions by slices and concatenation. It shares the
 * operations with the towers and nothing of the exchange; it is also what `single` trains.
 */
import * as tf from '@tensorflow/tfjs';
import { channelsOf, dropout, flat, parameterOf, pointwise, type Run } from './forward.js';
import { homeOf, isWeighted, type Net, type TowerIndex, towersOf, type WeightedLayer } from './net.js';
import { groupEnds } from './segments.js';

const TOWERS: readonly TowerIndex[] = [0, 1];

/**
 * Runs the whole net.
 * @param images [B, S, S, C].
 * @returns logits [B, K].
 */
export function referenceForward(net: Net, images: tf.Tensor4D, run: Run): tf.Tensor2D {
  const ends = groupEnds(net.layers);
  let x: tf.Tensor = images;
  let isImage = true; // the whole image goes to both towers
  let alone: TowerIndex | undefined; // after a layer with a home there is one tower
  for (const [i, layer] of net.layers.entries()) {
    if (isWeighted(layer)) {
      if (layer.reach === 'both' && !isImage) captureInput(x, layer, run);
      alone = homeOf(layer);
      x = weighted(x, layer, isImage, run);
      isImage = false;
    } else if (layer.kind === 'norm') {
      const norm = (maps: tf.Tensor) => run.ops.norm(maps as tf.Tensor4D, layer);
      x = alone === undefined ? byTower(x, norm) : norm(x);
    } else if (layer.kind === 'dropout') {
      const before = x;
      x = dropout(x, layer, run.training, () => {
        const towers = alone === undefined ? TOWERS : [alone];
        const masks = towers.map((tower) => run.mask(layer.name, tower, before.shape[0]!, channelsOf(layer.output)));
        return masks.length === 1 ? masks[0]! : tf.concat(masks, 1);
      });
    } else {
      x = pointwise(x, layer, run.ops);
    }
    const name = ends[i];
    if (name) captureOutput(x, name, alone, run);
  }
  return x as tf.Tensor2D;
}

function weighted(x: tf.Tensor, layer: WeightedLayer, isImage: boolean, run: Run): tf.Tensor {
  const isWhole = isImage || layer.reach === 'both';
  const outputs = towersOf(layer).map((tower) => {
    const input = isWhole ? x : halfOf(x, tower);
    const bias = parameterOf<tf.Tensor1D>(run, tower, `${layer.name}/bias`);
    return layer.kind === 'conv'
      ? run.ops.conv(input as tf.Tensor4D, parameterOf(run, tower, `${layer.name}/kernel`), bias, layer)
      : run.ops.dense(flat(input), parameterOf(run, tower, `${layer.name}/kernel`), bias);
  });
  return outputs.length === 1 ? outputs[0]! : tf.concat(outputs as tf.Tensor[], outputs[0]!.rank - 1);
}

/** The channels of one tower. */
function halfOf(x: tf.Tensor, tower: TowerIndex): tf.Tensor {
  const channels = x.shape[x.rank - 1]! / 2;
  const begin = x.shape.map(() => 0);
  begin[x.rank - 1] = tower * channels;
  const size = [...x.shape.slice(0, -1), channels];
  return tf.slice(x, begin, size);
}

function byTower(x: tf.Tensor, f: (half: tf.Tensor) => tf.Tensor): tf.Tensor {
  return tf.concat(
    TOWERS.map((tower) => f(halfOf(x, tower))),
    x.rank - 1,
  );
}

/** Both towers read the same; a layer with a home is read by one. */
function captureInput(x: tf.Tensor, layer: WeightedLayer, { capture }: Run): void {
  if (!capture) return;
  for (const tower of towersOf(layer)) {
    capture({ name: `tower${tower}/${layer.name}/input`, layer: layer.name, kind: 'input', tensor: x });
  }
}

/** Captured by tower, as the towers have it. */
function captureOutput(x: tf.Tensor, name: string, alone: TowerIndex | undefined, { capture }: Run): void {
  if (!capture) return;
  for (const tower of alone === undefined ? TOWERS : [alone]) {
    const tensor = alone === undefined ? halfOf(x, tower) : x;
    capture({ name: `tower${tower}/${name}`, layer: name, kind: 'activation', tensor });
  }
}
