/** How a tower's tensors cross where a function does not do it for them: op by op, and from device to device. */
import tf = require('@tensorflow/tfjs');

import { type Crossing, type Dtype, type Exchanger, type Place, scaleOf, type Transport } from '../exchange/index.js';
import { borrowTensor } from '../native/binding/borrow.js';
import {
  copyTensor,
  copyTensorAsHalf,
  scaledForHalf,
  settle,
  tensorFrom,
  tensorFromHalf,
  unscaledFromHalf,
} from '../native/binding/tensors.js';
import { TensorQueue } from '../native/graph/tensor-queue.js';

/** Messages, for a pass that runs op by op. */
export function messageExchanger(transport: Transport, dtype: Dtype, step: number): Exchanger {
  const read = (shape: readonly number[], bytes: Uint8Array, scale: number, isBorrowed: boolean): tf.Tensor => {
    if (dtype === 'float16') return tf.tidy(() => unscaledFromHalf(tensorFromHalf(shape, bytes), scale));
    const values = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    return isBorrowed ? borrowTensor(shape, values) : tensorFrom(shape, values);
  };
  return {
    send(tensor, place) {
      settle(tensor); // computing it is no exchange
      const scale = scaleOf(dtype, place);
      const copyTo = (bytes: Uint8Array) =>
        dtype === 'float16'
          ? tf.tidy(() => copyTensorAsHalf(scaledForHalf(tensor, scale), bytes))
          : copyTensor(tensor, bytes);
      transport.send({ shape: tensor.shape, dtype, copyTo }, { ...place, step });
    },
    receive: (shape, place) =>
      transport.receive({ shape, dtype }, { ...place, step }, (bytes) =>
        read(shape, bytes, scaleOf(dtype, place), false),
      ),
    receiveFor: (shape, place, compute) =>
      transport.receive({ shape, dtype }, { ...place, step }, (bytes) => {
        const tensor = read(shape, bytes, scaleOf(dtype, place), true);
        try {
          const result = compute(tensor);
          settle(result); // the values that it reads are the peer's again
          return result;
        } finally {
          tensor.dispose();
        }
      }),
  };
}

/**
 * How a tower tells its peer of each tensor that it sent by device, and hears of the peer's: by messages without values. So
 * a peer that is not heard of is missed as soon as by messages with values, and so are two towers at different places.
 */
export interface Notices {
  /** @param tensor what was sent; it stays the caller's. @throws ExchangeError when the peer is gone. */
  tell(tensor: tf.Tensor, place: Crossing): void;
  /** @throws ExchangeError when nothing is heard, or of another tensor. */
  hear(shape: readonly number[], place: Crossing): void;
}

/** Notices of a pass that runs op by op. */
export function messageNotices(transport: Transport, step: number): Notices {
  return {
    tell: ({ shape }, place) => tell(transport, shape, { ...place, step }),
    hear: (shape, place) => hear(transport, shape, { ...place, step }),
  };
}

/** Tells the peer that a tensor of that shape was sent by device. */
export function tell(transport: Transport, shape: readonly number[], place: Place): void {
  transport.send({ shape, dtype: 'device', copyTo: () => {} }, place);
}

/** Waits until the peer tells that it sent a tensor of that shape by device. */
export function hear(transport: Transport, shape: readonly number[], place: Place): void {
  transport.receive({ shape, dtype: 'device' }, place, () => {});
}

/** Where a tower and its peer are, and how their queues are called. */
export interface DeviceLink {
  /** The devices' full names. */
  own: string;
  peer: string;
  /** Of the two towers alone, in the whole process. */
  name: string;
  part: 0 | 1;
}

/**
 * Tensors that go from device to device within TensorFlow: into a queue in the sender's memory, out of which the receiver
 * has them copied. In a function that is recorded, and op by op.
 */
export class DeviceExchange {
  readonly #out: TensorQueue;
  readonly #in: TensorQueue;

  constructor({ own, peer, name, part }: DeviceLink) {
    this.#out = new TensorQueue({ device: own, sharedName: `${name}_${part}` });
    this.#in = new TensorQueue({ device: peer, sharedName: `${name}_${1 - part}` });
  }

  /**
   * @param notices are left out where nothing but the tensors is to cross.
   * @param onSend is told of the bytes of each tensor that is sent.
   */
  exchanger(isRecorded: boolean, notices?: Notices, onSend: (bytes: number) => void = () => {}): Exchanger {
    const receive: Exchanger['receive'] = (shape, place) => {
      // First: a queue is waited at without a deadline.
      notices?.hear(shape, place);
      return isRecorded ? this.#in.receive(shape) : this.#in.take().toTensor();
    };
    return {
      send: (tensor, place) => {
        onSend(Float32Array.BYTES_PER_ELEMENT * tensor.size);
        if (isRecorded) this.#out.send(tensor);
        else this.#out.put(tensor);
        notices?.tell(tensor, place);
      },
      receive,
      receiveFor(shape, place, compute) {
        const tensor = receive(shape, place);
        try {
          return compute(tensor);
        } finally {
          tensor.dispose();
        }
      },
    };
  }

  /**
   * Ends the exchange, and leaves no tensor in a queue; functions that use it are disposed of before. The queues themselves,
   * some hundred bytes, stay: the peer may be in the midst of something that has to do with one.
   */
  dispose(): void {
    for (const queue of [this.#out, this.#in]) {
      queue.close();
      queue.release();
    }
  }
}
