/** Statistics of a layer's activations in a batch: whether they still differ between images, and which units are dead. */
import type * as tf from '@tensorflow/tfjs';
import { type Captured, groupEnds } from '../model/forward.js';
import type { Net, TowerIndex } from '../model/net.js';
import type { LayerActivations } from './protocol.js';

/** The layers that are measured, by name, and whether each ends with a ReLU. Dropout is left out: it only scales here. */
export function measuredLayers({ layers }: Net): ReadonlyMap<string, boolean> {
  const measured = new Map<string, boolean>();
  let hasRelu = false;
  for (const [i, name] of groupEnds(layers).entries()) {
    const layer = layers[i]!;
    if ('name' in layer) hasRelu = false;
    if (layer.kind === 'activation' && layer.function === 'relu') hasRelu = true;
    if (name !== undefined && layer.kind !== 'dropout') measured.set(name, hasRelu);
  }
  return measured;
}

/** Measures the activations among the captured values of a pass. */
export function measureLayers(net: Net, captured: readonly Captured[]): LayerActivations[] {
  const measured = measuredLayers(net);
  return captured.flatMap(({ name, layer, kind, tensor }) => {
    const hasRelu = measured.get(layer);
    if (kind !== 'activation' || hasRelu === undefined) return [];
    return [measure(layer, name.startsWith('tower1/') ? 1 : 0, tensor, hasRelu)];
  });
}

/**
 * Measures a layer in one loop over a copy of its values: TensorFlow's reductions over images are slow on a CPU, and the
 * sums need double precision.
 * @param tensor float32 [B, …, C]; stays the caller's.
 * @param hasRelu whether the values come from a ReLU, so that units without positive values are dead.
 */
export function measure(layer: string, tower: TowerIndex, tensor: tf.Tensor, hasRelu: boolean): LayerActivations {
  const values = tensor.dataSync() as Float32Array;
  const images = tensor.shape[0]!;
  const units = tensor.shape.at(-1)!;
  const places = values.length / images;
  // Relative to the first image's value, so that the deviation of equal values is exactly 0.
  const [sums, squares] = [new Float64Array(places), new Float64Array(places)];
  const maxima = values.slice(0, places);
  const living = new Set<number>();
  let zeros = 0;
  for (let image = 0, i = 0; image < images; image++) {
    for (let place = 0; place < places; place++, i++) {
      const value = values[i]!;
      const difference = value - values[place]!;
      sums[place]! += difference;
      squares[place]! += difference * difference;
      if (value === 0) zeros++;
      if (value > maxima[place]!) maxima[place] = value;
    }
  }
  for (const [place, max] of maxima.entries()) if (!(max <= 0)) living.add(place % units);
  const means = sums.map((sum, place) => values[place]! + sum / images);
  const mean = meanOf(means);
  const between = meanOf(squares.map((square, place) => Math.max(0, square / images - (sums[place]! / images) ** 2)));
  return {
    ...{ tower, layer, mean, units, zero: zeros / values.length, signal: Math.sqrt(between) },
    // The variance of all values is the sum of that between images and that between places.
    sd: Math.sqrt(between + meanOf(means.map((each) => (each - mean) ** 2))),
    max: maxima.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY),
    ...(hasRelu && { dead: units - living.size }),
  };
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}
