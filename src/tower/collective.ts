/**
 * The sum of the gradients over the replicas, by TensorFlow's collectives: a ring between the devices on CPUs, NCCL on GPUs.
 * All replicas have the same bits, but the order of the sum is the runtime's.
 */
import tf = require('@tensorflow/tfjs');

import { bytesOf } from '../checkpoint/safetensors.js';
import { runOp } from '../native/binding/backend.js';
import { attr } from '../native/c/attributes.js';
import { DataType } from '../native/c/signatures.js';
import type { GradientSum } from './average.js';

export interface CollectiveOptions {
  replicas: number;
  /** Common to the towers with the same part of the net, and to no others of the process. */
  group: number;
  /** After which a member that does not join ends the step. */
  timeoutMs: number;
  /** Of the parameters, in order. */
  shapes: readonly (readonly number[])[];
}

/** A group has as many instances, one for each parameter. */
const MOST_PARAMETERS = 1024;

/** One tower's end. */
export class CollectiveSum implements GradientSum {
  readonly #options: CollectiveOptions;
  readonly bytes: number;

  constructor(options: CollectiveOptions) {
    const { shapes, replicas } = options;
    this.#options = options;
    const bytes = shapes.reduce((sum, shape) => sum + bytesOf(shape), 0);
    this.bytes = Math.round((2 * (replicas - 1) * bytes) / replicas);
  }

  /** @throws NativeError (DEADLINE_EXCEEDED) if a replica does not join in time, then and ever after in this process. */
  sum(gradients: readonly tf.Tensor[]): tf.Tensor[] {
    // The collectives of a function follow one another. The gradients of the last layers are there first.
    const last = gradients.length - 1;
    return gradients
      .toReversed()
      .map((each, i) => this.#reduce(each, last - i))
      .reverse();
  }

  #reduce(tensor: tf.Tensor, instance: number): tf.Tensor {
    const { replicas, group, timeoutMs } = this.#options;
    const attrs = [
      attr.type('T', DataType.FLOAT),
      ...[attr.string('merge_op', 'Add'), attr.string('final_op', 'Id'), attr.string('communication_hint', 'auto')],
      // TensorFlow itself would wait for ever.
      attr.float('timeout_seconds', timeoutMs / 1000),
      ...[attr.bool('is_stateless', false), attr.int('Nordering_token', 0), attr.int('max_subdivs_per_device', -1)],
    ];
    const key = (value: number) => tf.scalar(value, 'int32');
    return tf.tidy(() => {
      const keys = [key(replicas), key(group), key(group * MOST_PARAMETERS + instance)];
      return runOp('CollectiveReduceV2', [tensor, ...keys], attrs)[0]!;
    });
  }

  dispose(): void {}
}
