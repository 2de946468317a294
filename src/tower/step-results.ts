/** The results of a step: loss and right answers, and whether loss and gradients are finite in both towers. */
import type * as tf from '@tensorflow/tfjs';
import { ExchangeError, NonFiniteError } from '../errors.js';
import type { Transport } from '../exchange/transport.js';
import type { Parameter } from '../model/net.js';
import { rateText } from '../optim/schedule.js';
import { FINITE_LOSS, type Part, type StepCommand, type StepReply } from './protocol.js';

/**
 * Counts the rows whose label is among the `best` highest scores. Of equal scores the first counts as higher. NaN counts as
 * higher than every number and is never right.
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

export type Answers = Required<Pick<StepReply, 'loss' | 'top1'>>;

/** Reads a step's loss and counts its right answers. @throws NonFiniteError unless the command tolerates such a loss. */
export function answersOf(
  loss: tf.Scalar,
  logits: tf.Tensor2D,
  labels: Int32Array,
  { step, learningRate, tolerant }: StepCommand,
): Answers {
  const value = loss.dataSync()[0]!;
  const top1 = countRight(logits.dataSync(), labels, 1);
  if (Number.isFinite(value) || tolerant) return { loss: value, top1 };
  throw new NonFiniteError(
    `Cannot continue: the loss of step ${step} is ${value} at learning rate ${rateText(learningRate)}, ${FINITE_LOSS}; use a lower --lr (the update was not made)`,
    step,
  );
}

/** `halfSquares` of a tower's gradients and of its peer's; twice its own for the whole net. */
export interface Norms {
  own: number;
  peer: number;
}

const NORM = { shape: [], dtype: 'float32' } as const;

/**
 * Exchanges the norms of both towers' gradients.
 * @param isLast whether a norm that is not finite ends the run: then the peer, which may end first, is not waited for.
 * @throws ExchangeError if the peer is gone.
 */
export function exchangeNorms(own: number, step: number, transport: Transport | undefined, isLast = true): Norms {
  if (!transport) return { own, peer: own };
  const place = { site: 'gradients', step, direction: 'backward' } as const;
  const copyTo = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset).setFloat32(0, own, true);
  transport.send({ ...NORM, copyTo }, place);
  if (isLast && !Number.isFinite(own)) return { own, peer: Number.NaN };
  const peer = transport.receive(NORM, place, ({ buffer, byteOffset }) =>
    new DataView(buffer, byteOffset).getFloat32(0, true),
  );
  return { own, peer };
}

/**
 * Makes sure that both towers can update; otherwise neither does.
 * @param gradients in the order of the parameters.
 * @throws NonFiniteError that names the first layer of the backward pass whose gradient is not finite; ExchangeError with
 * `peerFailed` if only the peer's gradients are not.
 */
export function checkGradients(
  { own, peer }: Norms,
  gradients: readonly tf.Tensor[],
  parameters: readonly Parameter[],
  { step, learningRate }: Pick<StepCommand, 'step' | 'learningRate'>,
  part: Part,
): void {
  if (!Number.isFinite(own)) {
    const sizes = gradients.map((each) => largestOf(each.dataSync() as Float32Array));
    const bad = sizes.findLastIndex((size) => !Number.isFinite(size));
    const largest = sizes.indexOf(Math.max(...sizes));
    const found =
      bad < 0
        ? `too large for a float32, most of all in ${parameters[largest]!.name}`
        : `not finite, first in ${parameters[bad]!.name}`;
    throw new NonFiniteError(
      `Cannot continue: the gradient of step ${step} is ${found}, at learning rate ${rateText(learningRate)}, expected finite numbers; use a lower --lr (the update was not made)`,
      step,
    );
  }
  if (Number.isFinite(peer) || part === 'whole') return;
  const text = `Cannot continue at step ${step}: the gradients of tower ${1 - part} are not finite; its own message says where (the update was not made)`;
  throw new ExchangeError(text, part, 'gradients', step, true);
}

/** The largest absolute value; NaN if any value is NaN. */
function largestOf(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
