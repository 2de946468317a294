/** One tower's half of the net. */
import type * as tf from '@tensorflow/tfjs';
import type { Gather, Run } from './forward.js';
import type { Net, TowerIndex } from './net.js';
import { runSegment, type Segment, segmentsOf } from './segments.js';

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
 * @param runOne runs a segment; by default as it is, compiled when the caller has compiled it.
 */
export function towerForward(
  net: Net,
  tower: TowerIndex,
  images: tf.Tensor4D,
  run: Run,
  gather: Gather,
  runOne: (segment: Segment, x: tf.Tensor) => tf.Tensor = (segment, x) => runSegment(segment, tower, x, run),
): TowerOutput {
  let x: tf.Tensor = images;
  for (const segment of segmentsOf(net)) {
    const { site, home } = segment;
    if (site) x = gather(x, site);
    if (home !== undefined && home !== tower) return { sent: x };
    x = runOne(segment, x);
  }
  return { logits: x as tf.Tensor2D };
}
