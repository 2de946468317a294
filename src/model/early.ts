/**
 * Own half first: a layer that reaches both towers is a sum of two, of the tower's own half and of the peer's. The first
 * can be computed while the peer's half is on its way.
 */
import * as tf from '@tensorflow/tfjs';
import { flat, type Run } from './forward.js';
import { isWeighted, type TowerIndex, volume, type WeightedLayer } from './net.js';
import { runSegment, type Segment } from './segments.js';

/** A segment that can be run so: its first layer, whose names of parameters these are. */
export interface EarlySegment extends Segment {
  first: WeightedLayer;
  kernel: string;
  bias: string;
}

/** Names, among a run's parameters, of what an early segment is run with besides. */
export const OWN_KERNEL = 'kernel of the own half';
export const PEER_KERNEL = "kernel of the peer's half";
export const OWN_PART = 'sum over the own half';

/** The segment, when its input crosses and both towers have it. */
export function earlySegment(segment: Segment, tower: TowerIndex): EarlySegment | undefined {
  const [first] = segment.layers;
  if (!segment.site || segment.home !== undefined || !first || !isWeighted(first)) return undefined;
  const prefix = `tower${tower}/${first.name}`;
  return { ...segment, first, kernel: `${prefix}/kernel`, bias: `${prefix}/bias` };
}

/** A kernel by the input channels of tower 0 and of tower 1, differentiable. */
export function kernelHalves(kernel: tf.Tensor, layer: WeightedLayer): [tf.Tensor, tf.Tensor] {
  if (layer.kind === 'conv') return tf.split(kernel, 2, 2) as [tf.Tensor, tf.Tensor];
  const [inputs, units] = kernel.shape as [number, number];
  const channels = layer.input[2];
  const byChannel = tf.reshape(kernel, [volume(layer.input) / channels, channels, units]);
  return tf.split(byChannel, 2, 1).map((half) => tf.reshape(half, [inputs / 2, units])) as [tf.Tensor, tf.Tensor];
}

/** The first layer's sum over the own half, with the bias. */
export function runOwnPart({ first, bias }: EarlySegment, own: tf.Tensor, run: Run): tf.Tensor {
  return weighted(first, own, run, OWN_KERNEL, run.parameters.get(bias) as tf.Tensor1D);
}

/** The segment, from the peer's half and {@link OWN_PART}. */
export function runRest({ first, layers }: EarlySegment, tower: TowerIndex, peer: tf.Tensor, run: Run): tf.Tensor {
  return runSegment({ layers }, tower, peer, run, () =>
    tf.add(weighted(first, peer, run, PEER_KERNEL), run.parameters.get(OWN_PART)!),
  );
}

function weighted(layer: WeightedLayer, half: tf.Tensor, { ops, parameters }: Run, kernel: string, bias?: tf.Tensor1D) {
  const part = parameters.get(kernel)!;
  return layer.kind === 'conv'
    ? ops.conv(half as tf.Tensor4D, part as tf.Tensor4D, bias, layer)
    : ops.dense(flat(half), part as tf.Tensor2D, bias);
}
