/** Segments: what a tower runs from one site to the next. */
import type * as tf from '@tensorflow/tfjs';
import { channelsOf, dropout, flat, parameterOf, pointwise, type Run } from './forward.js';
import { homeOf, isWeighted, type Net, type PlacedLayer, type Site, sitesOf, type TowerIndex } from './net.js';

/** Layers that a tower runs without its peer. */
export interface Segment {
  /** Where its input crosses; the first one reads the image. */
  site?: Site;
  layers: readonly PlacedLayer[];
  /** The tower that alone has it. */
  home?: TowerIndex;
}

/** The net cut at its sites. */
export function segmentsOf(net: Net): Segment[] {
  const sites = new Map(sitesOf(net).map((site) => [site.name, site]));
  const segments: { site?: Site; layers: PlacedLayer[]; home?: TowerIndex }[] = [{ layers: [] }];
  for (const layer of net.layers) {
    const site = isWeighted(layer) ? sites.get(layer.name) : undefined;
    const home = homeOf(layer);
    if (site) segments.push({ site, layers: [], ...(home !== undefined && { home }) });
    segments.at(-1)!.layers.push(layer);
  }
  return segments;
}

/** Runs one tower's part of a segment. @param x what its first layer reads: the images, or both towers' halves. */
export function runSegment({ site, layers }: Segment, tower: TowerIndex, x: tf.Tensor, run: Run): tf.Tensor {
  if (site) run.capture?.({ name: `tower${tower}/${site.name}/input`, layer: site.name, kind: 'input', tensor: x });
  const ends = groupEnds(layers);
  let y = x;
  layers.forEach((layer, i) => {
    y = runLayer(layer, tower, y, run);
    const name = ends[i];
    if (name) run.capture?.({ name: `tower${tower}/${name}`, layer: name, kind: 'activation', tensor: y });
  });
  return y;
}

/** Tells for each layer under which name its output is captured: the last of a group carries the group's name. */
export function groupEnds(layers: readonly PlacedLayer[]): (string | undefined)[] {
  const names: (string | undefined)[] = [];
  let current: string | undefined;
  layers.forEach((layer, i) => {
    if ('name' in layer) current = layer.name;
    const next = layers[i + 1];
    names.push(next === undefined || 'name' in next ? current : undefined);
  });
  return names;
}

function runLayer(layer: PlacedLayer, tower: TowerIndex, x: tf.Tensor, run: Run): tf.Tensor {
  switch (layer.kind) {
    case 'conv':
    case 'dense': {
      const bias = parameterOf<tf.Tensor1D>(run, tower, `${layer.name}/bias`);
      return layer.kind === 'conv'
        ? run.ops.conv(x as tf.Tensor4D, parameterOf(run, tower, `${layer.name}/kernel`), bias, layer)
        : run.ops.dense(flat(x), parameterOf(run, tower, `${layer.name}/kernel`), bias);
    }
    case 'norm':
      return run.ops.norm(x as tf.Tensor4D, layer);
    case 'dropout':
      return dropout(x, layer, run.training, () => run.mask(layer.name, tower, x.shape[0]!, channelsOf(layer.output)));
    default:
      return pointwise(x, layer, run.ops);
  }
}
