/** Before an update: whether its numbers are numbers, in both towers. */
import type * as tf from '@tensorflow/tfjs';
import { ExchangeError, NonFiniteError } from '../errors.js';
import type { Transport } from '../exchange/index.js';
import type { Parameter } from '../model/net.js';
import type { Part } from './protocol.js';

/** `halfSquares` of a tower's gradients, and its peer's. */
export interface Norms {
  own: number;
  /** The own one again, of the whole net. */
  peer: number;
}

/** Float32, as the towers tell each other their norms. */
const NORM = { shape: [], dtype: 'float32' } as const;

/**
 * Tells the peer this tower's norm, and hears the peer's.
 * @param isLast whether a norm that is no number ends all: then the peer's is not waited for, which may end before it is read.
 * @throws ExchangeError when the peer is gone.
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
 * Refuses an update that not both towers can make: then neither makes it.
 * @param gradients of the parameters, in the net's order.
 * @throws NonFiniteError that names the first layer, in the order in which they come about, whose gradient is not finite;
 * ExchangeError, an echo of the peer's error, where only the peer's are not.
 */
export function checkGradients(
  { own, peer }: Norms,
  gradients: readonly tf.Tensor[],
  parameters: readonly Parameter[],
  { step, learningRate }: { step: number; learningRate: number },
  part: Part,
): void {
  if (!Number.isFinite(own)) throw gradientNotFinite(gradients, parameters, step, learningRate);
  if (Number.isFinite(peer) || part === 'whole') return;
  throw new ExchangeError(
    `Cannot go on at step ${step}: the gradients of tower ${1 - part} are not finite; its own message says where (the update was not made)`,
    part,
    'gradients',
    step,
    true,
  );
}

function gradientNotFinite(
  gradients: readonly tf.Tensor[],
  parameters: readonly Parameter[],
  step: number,
  learningRate: number,
): NonFiniteError {
  const sizes = gradients.map((each) => largestOf(each.dataSync() as Float32Array));
  const bad = sizes.findLastIndex((size) => !Number.isFinite(size));
  const largest = sizes.indexOf(Math.max(...sizes));
  const found =
    bad < 0
      ? `too large for a float32, most of all in ${parameters[largest]!.name}`
      : `not finite, first in ${parameters[bad]!.name}`;
  return new NonFiniteError(
    `Cannot go on: the gradient of step ${step} is ${found}, at learning rate ${learningRate}, expected numbers; take a lower --lr (the update was not made)`,
    step,
  );
}

/** The largest absolute value; NaN where there is one. */
function largestOf(values: Float32Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

/** The loss of a step that is not finite. */
export function lossNotFinite(loss: number, step: number, learningRate: number): NonFiniteError {
  return new NonFiniteError(
    `Cannot go on: the loss of step ${step} is ${loss} at learning rate ${learningRate}, expected a number; take a lower --lr (the update was not made)`,
    step,
  );
}
