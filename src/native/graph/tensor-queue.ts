/**
 * TensorFlow's FIFO queue: a compiled function sends tensors while it runs, and receives others. A queue in the host's
 * memory connects it to JavaScript (a host queue), one in a device's memory to another function (a device queue).
 */
import { threadId } from 'node:worker_threads';

import type * as tf from '@tensorflow/tfjs';

import { NativeError } from '../../errors.js';
import { currentBinding, ownBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding } from '../binding/binding.js';
import { castAttrs, hostTensor, scaledForHalf, unscaledFromHalf } from '../binding/tensors.js';
import { attr, type OpAttr } from '../c/attributes.js';
import { DataType } from '../c/signatures.js';
import { Code } from '../c/status.js';
import { type Graph, recordingGraph } from './graph.js';

export interface QueueOptions {
  /** Type of the values in the queue; a function has float32. Default `float32`. */
  dtype?: 'float32' | 'float16';
  /** Full name of the device in whose memory the values are. Default the host. */
  device?: string;
  /** In a process, queues with the same name on the same device are one queue. Default a unique name. */
  sharedName?: string;
}

/** A tensor taken from a queue. */
export type QueuedTensor = ReturnType<TensorQueue['take']>;

let queues = 0;

/** A queue of tensors of any shape, of unlimited length. An instance is for one thread. */
export class TensorQueue {
  readonly #binding: PinnedBinding;
  readonly #device: string;
  readonly #isHalf: boolean;
  readonly #dtype: number;
  readonly #handle: number;

  constructor({ dtype = 'float32', device, sharedName }: QueueOptions = {}) {
    this.#binding = ownBinding();
    this.#device = device ?? this.#binding.host;
    this.#isHalf = dtype === 'float16';
    this.#dtype = this.#isHalf ? DataType.HALF : DataType.FLOAT;
    const attrs = [
      this.#types('component_types'),
      attr.int('capacity', -1),
      attr.string('container', ''),
      // Without a name, TensorFlow takes that of the op, and all queues would be one.
      attr.string('shared_name', sharedName ?? `alexnet_split_${threadId}_${queues++}`),
    ];
    this.#handle = this.#run('FIFOQueueV2', attrs, [], 1)[0]!.id;
  }

  /** In a compiled function: sends a tensor. @param scale multiplies values before they are rounded to float16. */
  send(tensor: tf.Tensor, scale = 1): void {
    const graph = recording();
    let value = graph.valueOf(tensorId(this.#isHalf ? scaledForHalf(tensor, scale) : tensor));
    if (this.#isHalf) value = graph.record('Cast', castAttrs(DataType.FLOAT, DataType.HALF), [value], 1)[0]!;
    const inputs = [graph.valueOf(this.#handle), value];
    graph.record('QueueEnqueueV2', this.#attrs('Tcomponents'), inputs, 0, { device: this.#device });
  }

  /** In a compiled function: waits for the next tensor, float32 without a gradient. @param scale the sender's. */
  receive(shape: readonly number[], scale = 1): tf.Tensor {
    const graph = recording();
    const queue = [graph.valueOf(this.#handle)];
    const options = { shapes: [shape], device: this.#device };
    const [value] = graph.record('QueueDequeueV2', this.#attrs('component_types'), queue, 1, options);
    if (!this.#isHalf) return tensorOf(value!);
    const [cast] = graph.record('Cast', castAttrs(DataType.HALF, DataType.FLOAT), [value!], 1);
    return unscaledFromHalf(tensorOf(cast!), scale);
  }

  /** Outside a function: waits for the next tensor, which is the caller's. @throws NativeError if the wait is cancelled. */
  take() {
    const binding = this.#binding;
    const metadata = this.#run('QueueDequeueV2', this.#attrs('component_types'), [this.#handle], 1)[0]!;
    return {
      shape: metadata.shape as readonly number[],
      /** Copies the values into `target`, which has as many bytes. Waits until they are computed. */
      copyTo: (target: Uint8Array): void => binding.copyTo(metadata.id, target),
      /** Returns a float32 tensor of tfjs, the caller's. Call it or `dispose`, not both. */
      toTensor: (): tf.Tensor => tensorOf(metadata),
      dispose: (): void => binding.deleteTensor(metadata.id),
    };
  }

  /** Outside a function: sends a float32 tensor, which stays the caller's. */
  put(tensor: tf.Tensor): void {
    this.#put(tensorId(tensor));
  }

  /**
   * Outside a function: sends values of the queue's type without a copy, unless `isCopied`. They must start at a multiple
   * of 4 bytes of shared memory, and must not change until the receiver has used them.
   * @throws NativeError if the number of bytes does not match the shape.
   */
  putBytes(shape: readonly number[], bytes: Uint8Array, isCopied = false): void {
    const { buffer, byteOffset, byteLength } = bytes;
    const values = this.#isHalf ? bytes : new Float32Array(buffer, byteOffset, byteLength / 4);
    const id = hostTensor(this.#binding, shape, this.#dtype, values, isCopied);
    try {
      this.#put(id);
    } finally {
      this.#binding.deleteTensor(id);
    }
  }

  /** Discards what is in the queue. No other thread may take from it meanwhile. */
  clear(): void {
    const [size] = this.#run('QueueSizeV2', [], [this.#handle], 1);
    const [count] = this.#binding.tensorDataSync(size!.id) as Int32Array;
    this.#binding.deleteTensor(size!.id);
    for (let i = 0; i < count!; i++) this.take().dispose();
  }

  /**
   * Closes the queue for everyone who shares it, and discards what is in it: waiting for a tensor ends with an error, and
   * so does sending one. Never waits, even if another thread takes from the queue.
   */
  close(): void {
    this.#run('QueueCloseV2', [attr.bool('cancel_pending_enqueues', true)], [this.#handle], 0);
    try {
      // No further: a server keeps the error of taking from an empty queue, and refuses what follows.
      this.clear();
    } catch (error) {
      if (!(error instanceof NativeError) || error.code !== Code.OUT_OF_RANGE) throw error;
    }
  }

  /** Frees the queue for everyone who shares it. Functions that use it must be disposed of before. */
  dispose(): void {
    this.#run('DestroyResourceOp', [attr.bool('ignore_lookup_error', true)], [this.#handle], 0);
    this.release();
  }

  /** Frees this instance's handle; the queue stays for those who share it. */
  release(): void {
    this.#binding.deleteTensor(this.#handle);
  }

  #put(id: number): void {
    this.#run('QueueEnqueueV2', this.#attrs('Tcomponents'), [this.#handle, id], 0);
  }

  #run(op: string, attrs: OpAttr[], ids: number[], count: number) {
    return this.#binding.executeOp(op, attrs, ids, count, this.#device);
  }

  #types(name: string): OpAttr {
    return attr.type(name, [this.#dtype]);
  }

  #attrs(types: string): OpAttr[] {
    return [this.#types(types), attr.int('timeout_ms', -1)]; // TensorFlow has no other timeout
  }
}

/** The graph that is recording; it becomes one with a queue. */
function recording(): Graph {
  const graph = recordingGraph(currentBinding());
  if (!graph)
    throw new NativeError(
      'Cannot use a queue here: only a compiled function sends or receives by it',
      Code.FAILED_PRECONDITION,
    );
  graph.usesQueue = true;
  return graph;
}
