/** The exchange as a differentiable function: the all-gather of the halves at a site. */
import tf = require('@tensorflow/tfjs');

import type { Place } from './mailbox.js';

/** A tensor's place in every step. */
export type Crossing = Omit<Place, 'step'>;

/** Sends tensors to the peer and receives its tensors. */
export interface Exchanger {
  /** Sends a float32 tensor; it stays the caller's. @throws ExchangeError if the peer is gone. */
  send(tensor: tf.Tensor, place: Crossing): void;
  /** Returns the peer's next tensor; the caller disposes it. @throws ExchangeError if another comes, or none. */
  receive(shape: readonly number[], place: Crossing): tf.Tensor;
  /**
   * Calls `compute` with the peer's next tensor where it lies. Its memory is reused when `compute` returns.
   * @returns the result of `compute`, which must not share that memory. @throws as `receive`, and what `compute` throws.
   */
  receiveFor(shape: readonly number[], place: Crossing, compute: (tensor: tf.Tensor) => tf.Tensor): tf.Tensor;
}

/**
 * Joins both towers' halves, tower 0's channels first.
 *
 * Forward, each tower sends its half and receives the peer's. Backward is the adjoint: each tower keeps the gradient of its
 * own half, sends that of the peer's half, and adds what the peer sends. At a site with a home only the other tower sends
 * forward, and only the home sends a gradient back.
 * @param own this tower's half, [..., C].
 * @param site its name, and the one tower that reads it if not both do.
 * @param tower the tower that calls this.
 * @returns [..., 2C]. In the tower that is not the home: a scalar 0 whose gradient receives the peer's, so it has to be part
 * of what that tower differentiates.
 * @throws ExchangeError if the peer is gone.
 */
export function allGather(
  own: tf.Tensor,
  { name, home }: { name: string; home?: 0 | 1 | undefined },
  tower: 0 | 1,
  exchanger: Exchanger,
): tf.Tensor {
  const shape = own.shape;
  const forward = { site: name, direction: 'forward' } as const;
  const backward = { site: name, direction: 'backward' } as const;
  if (home !== undefined && home !== tower) {
    return tf.customGrad((x) => {
      exchanger.send(x as tf.Tensor, forward);
      return { value: tf.scalar(0), gradFunc: () => exchanger.receive(shape, backward) };
    })(own);
  }
  const axis = own.rank - 1;
  return tf.customGrad((x) => {
    const half = x as tf.Tensor;
    if (home === undefined) exchanger.send(half, forward);
    const join = (peer: tf.Tensor) => tf.concat(tower === 0 ? [half, peer] : [peer, half], axis);
    const value = exchanger.receiveFor(shape, forward, join);
    const gradFunc = (gradient: tf.Tensor): tf.Tensor => {
      const parts = tf.split(gradient, 2, axis);
      exchanger.send(parts[1 - tower]!, backward);
      const mine = parts[tower]!;
      if (home !== undefined) return mine;
      return exchanger.receiveFor(shape, backward, (theirs) => tf.add(mine, theirs));
    };
    return { value, gradFunc };
  })(own);
}
