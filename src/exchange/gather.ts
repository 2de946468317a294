/** The exchange as a differentiable function: what a layer that reaches both towers reads. */
import * as tf from '@tensorflow/tfjs';
import type { Exchanger } from './transport.js';

/** Where a gather is: the site's name, the tower that asks, and the tower that alone reads it, if one does. */
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
 * @param swap puts the halves in the wrong order: a fault, for tests.
 * @returns [..., 2C]; in the tower that is not the home a scalar 0, whose gradient brings the peer's: it has to be part
 * of what that tower differentiates.
 * @throws ExchangeError when the peer is gone.
 */
export function gather(
  own: tf.Tensor,
  site: GatherSite,
  tower: 0 | 1,
  step: number,
  transport: Exchanger,
  swap = false,
): tf.Tensor {
  const shape = own.shape;
  const forward = { site: site.name, step, direction: 'forward' } as const;
  const backward = { site: site.name, step, direction: 'backward' } as const;
  if (site.home !== undefined && site.home !== tower) {
    return tf.customGrad((x) => {
      transport.send(x as tf.Tensor, forward);
      return { value: tf.scalar(0), gradFunc: () => transport.receive(shape, backward) };
    })(own);
  }
  const axis = own.rank - 1;
  const isFirst = (tower === 0) !== swap;
  return tf.customGrad((x) => {
    const half = x as tf.Tensor;
    if (site.home === undefined) transport.send(half, forward);
    const join = (peer: tf.Tensor) => tf.concat(isFirst ? [half, peer] : [peer, half], axis);
    const value = transport.receiveFor(shape, forward, join);
    const gradFunc = (gradient: tf.Tensor): tf.Tensor => {
      const [first, second] = tf.split(gradient, 2, axis) as [tf.Tensor, tf.Tensor];
      transport.send(isFirst ? second : first, backward);
      const mine = isFirst ? first : second;
      if (site.home !== undefined) return mine;
      return transport.receiveFor(shape, backward, (theirs) => tf.add(mine, theirs));
    };
    return { value, gradFunc };
  })(own);
}

/**
 * The first half of a gather, for a site without a home: sends this tower's half, so that work on it can go on before
 * the peer's has come.
 * @returns a scalar 0, to be given to {@link receiveHalf}; its gradient brings the peer's for `own`.
 * @throws ExchangeError when the peer is gone.
 */
export function sendHalf(own: tf.Tensor, site: string, step: number, transport: Exchanger): tf.Tensor {
  return tf.customGrad((x) => {
    transport.send(x as tf.Tensor, { site, step, direction: 'forward' });
    return { value: tf.scalar(0), gradFunc: () => transport.receive(own.shape, { site, step, direction: 'backward' }) };
  })(own);
}

/**
 * The second half: the peer's half, of the same shape. Backward its gradient is sent first, and only when the work on the
 * own half has been differentiated is the peer's waited for.
 * @param sent what {@link sendHalf} returned.
 * @throws ExchangeError when the peer is gone.
 */
export function receiveHalf(
  sent: tf.Tensor,
  shape: readonly number[],
  site: string,
  step: number,
  transport: Exchanger,
): tf.Tensor {
  return tf.customGrad((_sent) => {
    const gradFunc = (gradient: tf.Tensor): tf.Tensor => {
      transport.send(gradient, { site, step, direction: 'backward' });
      return tf.scalar(0);
    };
    return { value: transport.receive(shape, { site, step, direction: 'forward' }), gradFunc };
  })(sent);
}
