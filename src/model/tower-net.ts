/** One tower's way through the net. */
import type * as tf from '@tensorflow/tfjs';
import type { Gather } from './forward.js';
import type { TowerIndex } from './net.js';
import type { Segment } from './segments.js';

/** Where a tower's pass through the net ends: at its last segment's output, or at what it sent to the home of the rest. */
export type TowerOutput =
  | { output: tf.Tensor }
  /** A scalar 0 to be differentiated, so that the gradient of what was sent comes. */
  | { sent: tf.Tensor };

/**
 * Runs one tower, segment by segment.
 * @param images [B, S, S, C], the same in both towers.
 * @param gather how both towers' halves come together; blocks until the peer is there too.
 * @param runOne runs a segment.
 */
export function towerForward(
  segments: readonly Segment[],
  tower: TowerIndex,
  images: tf.Tensor4D,
  gather: Gather,
  runOne: (segment: Segment, x: tf.Tensor) => tf.Tensor,
): TowerOutput {
  let x: tf.Tensor = images;
  for (const segment of segments) {
    const { site, home } = segment;
    if (site) x = gather(x, site);
    if (home !== undefined && home !== tower) return { sent: x };
    x = runOne(segment, x);
  }
  return { output: x };
}
