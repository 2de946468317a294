/**
 * The reference: the whole net on one device, each tower's channels side by side, and in one piece where a layer reads
 * both. It shares the operations with the towers and nothing of the exchange; it is also what `single` trains.
 */
import * as tf from '@tensorflow/tfjs';
import { channelsOf, dropout, flat, parameterOf, pointwise, type Run } from './forward.js';
import { isWeighted, type Net, type PlacedLayer, type TowerIndex, towersOf, type WeightedLayer } from './net.js';
import { groupEnds } from './segments.js';

const TOWERS: readonly TowerIndex[] = [0, 1];

/** What lies between two layers: each tower's channels; or one tensor, the image or what only one tower has. */
type Columns = readonly tf.Tensor[];

/**
 * Runs the whole net.
 * @param images [B, S, S, C].
 * @returns logits [B, K].
 */
export function referenceForward(net: Net, images: tf.Tensor4D, run: Run): tf.Tensor2D {
  const ends = groupEnds(net.layers);
  let columns: Columns = [images]; // the whole image goes to both towers
  let isImage = true;
  let towers: readonly TowerIndex[] = TOWERS; // after a layer with a home there is one
  for (const [i, layer] of net.layers.entries()) {
    if (isWeighted(layer)) {
      if (layer.reach === 'both') columns = [joined(columns)];
      if (layer.reach === 'both' && !isImage) captureInput(columns[0]!, layer, run);
      towers = towersOf(layer);
      columns = towers.map((tower) => weighted(columnOf(columns, tower), layer, tower, run));
      isImage = false;
    } else if (layer.kind === 'pool' || layer.kind === 'mapNorm') {
      // In one piece: how many channels there are decides in which order gradients are summed.
      const whole = pointwise(joined(columns), layer, run.ops);
      columns = columns.length === 1 ? [whole] : tf.split(whole, columns.length, whole.rank - 1);
    } else {
      columns = columns.map((x, column) => unweighted(x, layer, towers[column]!, run));
    }
    const name = ends[i];
    if (name) captureOutput(columns, name, towers, run);
  }
  return joined(columns) as tf.Tensor2D;
}

function weighted(x: tf.Tensor, layer: WeightedLayer, tower: TowerIndex, run: Run): tf.Tensor {
  const bias = parameterOf<tf.Tensor1D>(run, tower, `${layer.name}/bias`);
  return layer.kind === 'conv'
    ? run.ops.conv(x as tf.Tensor4D, parameterOf(run, tower, `${layer.name}/kernel`), bias, layer)
    : run.ops.dense(flat(x), parameterOf(run, tower, `${layer.name}/kernel`), bias);
}

function unweighted(x: tf.Tensor, layer: Exclude<PlacedLayer, WeightedLayer>, tower: TowerIndex, run: Run): tf.Tensor {
  switch (layer.kind) {
    case 'norm':
      return run.ops.norm(x as tf.Tensor4D, layer);
    case 'dropout':
      return dropout(x, layer, run.training, () => run.mask(layer.name, tower, x.shape[0]!, channelsOf(layer.output)));
    default:
      return pointwise(x, layer, run.ops);
  }
}

/** What a tower reads of them. */
function columnOf(columns: Columns, tower: TowerIndex): tf.Tensor {
  return columns.length === 1 ? columns[0]! : columns[tower]!;
}

/** All channels, tower 0's first. */
function joined(columns: Columns): tf.Tensor {
  return columns.length === 1 ? columns[0]! : tf.concat([...columns], columns[0]!.rank - 1);
}

/** Both towers read the same; a layer with a home is read by one. */
function captureInput(x: tf.Tensor, layer: WeightedLayer, { capture }: Run): void {
  if (!capture) return;
  for (const tower of towersOf(layer)) {
    capture({ name: `tower${tower}/${layer.name}/input`, layer: layer.name, kind: 'input', tensor: x });
  }
}

/** Captured by tower, as the towers have it. */
function captureOutput(columns: Columns, name: string, towers: readonly TowerIndex[], { capture }: Run): void {
  for (const tower of towers) {
    capture?.({ name: `tower${tower}/${name}`, layer: name, kind: 'activation', tensor: columnOf(columns, tower) });
  }
}
