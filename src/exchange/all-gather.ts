/** The exchange as a differentiable function: the all-gather of what a layer that reaches both towers reads. */
import tf = require('@tensorflow/tfjs');

import type { Place } from './mailbox.js';

/** Where a tensor crosses, in every step. */
export type Crossing = Omit<Place, 'step'>;

/** How tensors cross, to the peer and from it. */
export interface Exchanger {
  /** Sends a float32 tensor; it stays the caller's. @throws ExchangeError when the peer is gone. */
  send(tensor: tf.Tensor, place: Crossing): void;
  /** The peer's next tensor; it is the caller's. @throws ExchangeError when it does not come or is not the expected. */
  receive(shape: readonly number[], place: Crossing): tf.Tensor;
  /**
   * Has `compute` use the peer's next tensor where it lies; when that returns it is gone, with all that shares its memory.
   * @returns what `compute` does: nothing that shares that memory. @throws as `receive`, and what `compute` throws.
   */
  receiveFor(shape: readonly number[], place: Crossing, compute: (tensor: tf.Tensor) => tf.Tensor): tf.Tensor;
}

/** Where an all-gather is: the site's name, the tower that asks, and the tower that alone reads it, if one does. */
export interface GatherSite {
  name: string;
  home?: 0 | 1 | undefined;
}

/**
 * Both towers' halves side by side, tower 0's channels first.
 *
 * Forward, each tower sends its half and takes the peer's. Backward is the adjoint: each keeps the gradient for its own
 * half, sends the one for the peer's, and adds what the peer sends for its own. At a site with a home only the other
 * tower sends, and only the home sends a gradient back.
 * @param own this tower's half, channels last.
 * @returns [..., 2C]; in the tower that is not the home a scalar 0, whose gradient brings the peer's: it has to be part
 * of what that tower differentiates.
 * @throws ExchangeError when the peer is gone.
 */
export function allGather(own: tf.Tensor, site: GatherSite, tower: 0 | 1, exchanger: Exchanger): tf.Tensor {
  const shape = own.shape;
  const forward = { site: site.name, direction: 'forward' } as const;
  const backward = { site: site.name, direction: 'backward' } as const;
  if (site.home !== undefined && site.home !== tower) {
    return tf.customGrad((x) => {
      exchanger.send(x as tf.Tensor, forward);
      return { value: tf.scalar(0), gradFunc: () => exchanger.receive(shape, backward) };
    })(own);
  }
  const axis = own.rank - 1;
  const isFirst = tower === 0;
  return tf.customGrad((x) => {
    const half = x as tf.Tensor;
    if (site.home === undefined) exchanger.send(half, forward);
    const join = (peer: tf.Tensor) => tf.concat(isFirst ? [half, peer] : [peer, half], axis);
    const value = exchanger.receiveFor(shape, forward, join);
    const gradFunc = (gradient: tf.Tensor): tf.Tensor => {
      const [first, second] = tf.split(gradient, 2, axis) as [tf.Tensor, tf.Tensor];
      exchanger.send(isFirst ? second : first, backward);
      const mine = isFirst ? first : second;
      if (site.home !== undefined) return mine;
      return exchanger.receiveFor(shape, backward, (theirs) => tf.add(mine, theirs));
    };
    return { value, gradFunc };
  })(own);
}
