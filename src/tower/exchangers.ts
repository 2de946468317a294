/** The exchangers that need no help of the host: messages op by op, and TensorFlow's own copies from device to device. */
import tf = require('@tensorflow/tfjs');

import type { Crossing, Exchanger } from '../exchange/all-gather.js';
import type { Dtype } from '../exchange/codec.js';
import { scaleOf, type Transport } from '../exchange/transport.js';
import {
  borrowTensor,
  copyTensor,
  copyTensorAsHalf,
  scaledForHalf,
  settle,
  tensorFrom,
  tensorFromHalf,
  unscaledFromHalf,
} from '../native/binding/tensors.js';
import { TensorQueue } from '../native/graph/tensor-queue.js';

/** Exchanges by messages, for a pass that runs op by op. */
export function messageExchanger(transport: Transport, dtype: Dtype, step: number): Exchanger {
  /** Calls `use` with the next message's tensor. @param toTensor makes it of float32 values. */
  const receive = (
    shape: readonly number[],
    place: Crossing,
    toTensor: (shape: readonly number[], values: Float32Array) => tf.Tensor,
    use: (tensor: tf.Tensor) => tf.Tensor,
  ) =>
    transport.receive({ shape, dtype }, { ...place, step }, (bytes) =>
      use(
        dtype === 'float16'
          ? tf.tidy(() => unscaledFromHalf(tensorFromHalf(shape, bytes), scaleOf(dtype, place)))
          : toTensor(shape, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)),
      ),
    );
  return {
    send(tensor, place) {
      settle(tensor); // so that computing it does not count as exchange
      const copyTo = (bytes: Uint8Array) =>
        dtype === 'float16'
          ? tf.tidy(() => copyTensorAsHalf(scaledForHalf(tensor, scaleOf(dtype, place)), bytes))
          : copyTensor(tensor, bytes);
      transport.send({ shape: tensor.shape, dtype, copyTo }, { ...place, step });
    },
    receive: (shape, place) => receive(shape, place, tensorFrom, (tensor) => tensor),
    receiveFor: (shape, place, compute) =>
      receive(shape, place, borrowTensor, (tensor) => {
        const result = disposing(tensor, compute);
        settle(result); // before the values that it reads are overwritten
        return result;
      }),
  };
}

function disposing(tensor: tf.Tensor, compute: (tensor: tf.Tensor) => tf.Tensor): tf.Tensor {
  try {
    return compute(tensor);
  } finally {
    tensor.dispose();
  }
}

/**
 * Notifies the peer of each tensor that is sent by device, with a message without values. So a silent peer, or one at
 * another place, is found by the same deadline as with values.
 */
export interface Notices<Sent = tf.Tensor> {
  /** @param tensor what was sent; it stays the caller's. @throws ExchangeError if the peer is gone. */
  send(tensor: Sent, place: Crossing): void;
  /** Waits for the peer's notice. @throws ExchangeError if it does not come, or is of another tensor. */
  receive(shape: readonly number[], place: Crossing): void;
}

export function messageNotices(transport: Transport, step: number): Notices<{ shape: readonly number[] }> {
  return {
    send: ({ shape }, place) => transport.send({ shape, dtype: 'device', copyTo: () => {} }, { ...place, step }),
    receive: (shape, place) => transport.receive({ shape, dtype: 'device' }, { ...place, step }, () => {}),
  };
}

/**
 * Exchanges from device to device within TensorFlow: a tower puts tensors into a queue in its device's memory, and
 * TensorFlow copies them to the peer's device. For functions that are recorded and for passes op by op.
 */
export class DeviceExchange {
  readonly #out: TensorQueue;
  readonly #in: TensorQueue;

  /** @param link the full names of both devices, and a name that is common to the towers and unique in the process. */
  constructor({ own, peer, name, part }: { own: string; peer: string; name: string; part: 0 | 1 }) {
    this.#out = new TensorQueue({ device: own, sharedName: `${name}_${part}` });
    this.#in = new TensorQueue({ device: peer, sharedName: `${name}_${1 - part}` });
  }

  /** @param notices none if only the tensors are to cross. */
  exchanger(isRecorded: boolean, notices?: Notices): Exchanger {
    const receive: Exchanger['receive'] = (shape, place) => {
      notices?.receive(shape, place); // first, because a queue has no deadline
      return isRecorded ? this.#in.receive(shape) : this.#in.take().toTensor();
    };
    return {
      send: (tensor, place) => {
        if (isRecorded) this.#out.send(tensor);
        else this.#out.put(tensor);
        notices?.send(tensor, place);
      },
      receive,
      receiveFor: (shape, place, compute) => disposing(receive(shape, place), compute),
    };
  }

  /**
   * Ends the exchange and removes all tensors from the queues; functions that use it have to be disposed before. The queues
   * themselves, some hundred bytes, stay: the peer may be using one.
   */
  dispose(): void {
    for (const queue of [this.#out, this.#in]) {
      queue.close();
      queue.release();
    }
  }
}
