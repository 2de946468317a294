/**
 * The sum of the gradients over the replicas, by TensorFlow's own copies from device to device (`CopiedSum`). Each parameter has an owner
 * among the towers with the same part of the net. The others send it their gradients; it adds them up in the order of the
 * replicas, and sends the sum back. So all replicas have the same bits, and each tower sends and receives about the same.
 *
 * Each tensor has a queue of its own, in the memory of the device that sends it: in a compiled function nothing but the
 * gradient itself keeps it waiting, so those of the dense layers cross while the convolutions' are computed.
 */
import tf = require('@tensorflow/tfjs');

import { bytesOf } from '../checkpoint/safetensors.js';
import { NativeError } from '../errors.js';
import { ownersOf } from '../model/owners.js';
import { TensorQueue } from '../native/graph/tensor-queue.js';
import type { Replica } from './replica.js';

/** How a tower adds up the gradients of all replicas, in a compiled function or op by op. */
export interface GradientSum {
  /** Bytes that this tower sends in a step. */
  readonly bytes: number;
  /**
   * Sends gradients, and receives those of the other replicas.
   * @param gradients in the order of the parameters; they stay the caller's. @param isRecorded in a compiled function.
   * @returns their sums over the replicas; the caller's.
   */
  sum(gradients: readonly tf.Tensor[], isRecorded: boolean): tf.Tensor[];
  /** Functions that use it have to be disposed of before. */
  dispose(): void;
}

export interface CopiedSumOptions {
  replica: Replica;
  /** Full names of the devices of the towers with the same part, by replica. */
  devices: readonly string[];
  /** Common to these towers, and unique in the process: the names of their queues begin with it. */
  name: string;
  /** Of the parameters, in order. */
  shapes: readonly (readonly number[])[];
}

/** The queues of a parameter, by the replica at the other end; this replica's place has none. */
interface Links {
  out: ReadonlyMap<number, TensorQueue>;
  in: ReadonlyMap<number, TensorQueue>;
}

/** One tower's end. For one thread. */
export class CopiedSum implements GradientSum {
  readonly #index: number;
  readonly #owners: readonly number[];
  readonly #links: readonly Links[];
  readonly #shapes: CopiedSumOptions['shapes'];
  readonly bytes: number;

  constructor({ replica: { index, count }, devices, name, shapes }: CopiedSumOptions) {
    this.#index = index;
    this.#shapes = shapes;
    this.#owners = ownersOf(shapes, count);
    const replicas = Array.from({ length: count }, (_, i) => i);
    this.#links = this.#owners.map((owner, i) => {
      const others = owner === index ? replicas.filter((each) => each !== index) : [owner];
      const queue = (from: number, to: number) =>
        new TensorQueue({ device: devices[from]!, sharedName: `${name}_${i}_${from}_${to}` });
      return {
        out: new Map(others.map((other) => [other, queue(index, other)])),
        in: new Map(others.map((other) => [other, queue(other, index)])),
      };
    });
    this.bytes = shapes.reduce((sum, shape, i) => sum + bytesOf(shape) * this.#links[i]!.out.size, 0);
  }

  sum(gradients: readonly tf.Tensor[], isRecorded: boolean): tf.Tensor[] {
    const send = (i: number, tensor: tf.Tensor) => {
      for (const queue of this.#links[i]!.out.values()) isRecorded ? queue.send(tensor) : queue.put(tensor);
    };
    const receive = (i: number, from: number): tf.Tensor => {
      const queue = this.#links[i]!.in.get(from)!;
      return isRecorded ? queue.receive(this.#shapes[i]!) : queue.take().toTensor();
    };
    const isOwn = (i: number) => this.#owners[i] === this.#index;
    // Op by op this is the order that no tower waits in for another that waits for it.
    for (const [i, gradient] of gradients.entries()) if (!isOwn(i)) send(i, gradient);
    const sums = gradients.map((gradient, i) => {
      if (!isOwn(i)) return undefined;
      const terms = this.#devicesInOrder(i).map((from) => (from === this.#index ? gradient : receive(i, from)));
      const sum = tf.addN(terms);
      send(i, sum);
      return sum;
    });
    return sums.map((sum, i) => sum ?? receive(i, this.#owners[i]!));
  }

  /** The replicas whose gradients this one, as the owner, adds up. */
  #devicesInOrder(i: number): number[] {
    return [...this.#links[i]!.in.keys(), this.#index].sort((a, b) => a - b);
  }

  /** Removes the tensors that a failed step left for this tower. The queues themselves, some hundred bytes, stay. */
  dispose(): void {
    for (const links of this.#links) {
      for (const queue of links.in.values()) {
        try {
          queue.clear();
        } catch (error) {
          if (!(error instanceof NativeError)) throw error; // the device is gone
        }
      }
      for (const queue of [...links.out.values(), ...links.in.values()]) queue.release();
    }
  }
}
