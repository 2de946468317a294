/** What a batch's scores say: right answers, and the loss. */
import type * as tf from '@tensorflow/tfjs';
import { lossNotFinite } from './gradient-check.js';
import type { StepCommand, StepReply } from './protocol.js';

/**
 * In how many rows the label is among the `best` highest scores. Of equal scores the first counts as higher. A score
 * that is not a number counts as higher than every other, and is never right.
 * @param scores [B, K], row-major.
 * @param labels [B], from 0 to K - 1.
 */
export function countRight(scores: ArrayLike<number>, labels: Int32Array, best: number): number {
  const classes = scores.length / labels.length;
  let right = 0;
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!;
    const own = scores[row * classes + label]!;
    if (Number.isNaN(own)) continue;
    let higher = 0;
    for (let k = 0; k < classes; k++) {
      const score = scores[row * classes + k]!;
      if (score > own || (score === own && k < label) || Number.isNaN(score)) higher++;
    }
    if (higher < best) right++;
  }
  return right;
}

/** What a step answers of its batch. */
export type Answers = Required<Pick<StepReply, 'loss' | 'top1'>>;

/**
 * Reads a step's loss and counts the images that it had right.
 * @throws NonFiniteError for a loss that is no number, but when that is what is looked for.
 */
export function answersOf(
  loss: tf.Scalar,
  logits: tf.Tensor2D,
  labels: Int32Array,
  { step, learningRate, tolerant }: StepCommand,
): Answers {
  const value = loss.dataSync()[0]!;
  const top1 = countRight(logits.dataSync(), labels, 1);
  if (!Number.isFinite(value) && !tolerant) throw lossNotFinite(value, step, learningRate);
  return { loss: value, top1 };
}
