/**
 * TensorFlow's FIFO queue, by which a compiled function sends tensors to others while it runs, and receives theirs: to and
 * from JavaScript by a queue in the host's memory, to and from another function by one on a device.
 */
import { threadId } from 'node:worker_threads';

import type * as tf from '@tensorflow/tfjs';

import { NativeError } from '../../errors.js';
import { currentBinding, ownBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding } from '../binding/binding.js';
import { hostTensor } from '../binding/borrow.js';
import { castAttrs, scaledForHalf, unscaledFromHalf } from '../binding/tensors.js';
import type { OpAttr } from '../c/attributes.js';
import { AttrType, DataType } from '../c/signatures.js';
import { OUT_OF_RANGE } from '../c/status.js';
import { type Graph, recordingGraph } from './graph.js';

export interface QueueOptions {
  /** How values lie in the queue; in a function they are float32. Default `float32`. */
  dtype?: 'float32' | 'float16';
  /** The device in whose memory they lie, by its full name. Default the host. */
  device?: string;
  /** Queues of one name on one device are one queue, in the whole process. Default a name that no other has. */
  sharedName?: string;
}

/** A tensor out of a queue, where the queue had it. */
export interface QueuedTensor {
  readonly shape: readonly number[];
  /** Copies its bytes into `target`, as long as they are. Waits until they are computed. */
  copyTo(target: Uint8Array): void;
  /** As a float32 tensor of tfjs, the caller's; in place of {@link dispose}. */
  toTensor(): tf.Tensor;
  dispose(): void;
}

let queues = 0;

/** A queue of float32 or float16 tensors of any shape, first in, first out, of any length. For one thread. */
export class TensorQueue {
  readonly #binding: PinnedBinding;
  readonly #device: string;
  readonly #dtype: number;
  readonly #handle: number;

  /** @throws NativeError when TensorFlow cannot make it there. */
  constructor({ dtype = 'float32', device, sharedName }: QueueOptions = {}) {
    this.#binding = ownBinding();
    this.#device = device ?? this.#binding.host;
    this.#dtype = dtype === 'float16' ? DataType.HALF : DataType.FLOAT;
    const attrs = [
      this.#types('component_types'),
      { name: 'capacity', type: AttrType.INT, value: -1 },
      { name: 'container', type: AttrType.STRING, value: '' },
      // Without a name TensorFlow gives that of the op, and all queues are one.
      { name: 'shared_name', type: AttrType.STRING, value: sharedName ?? `alexnet_split_${threadId}_${queues++}` },
    ];
    this.#handle = this.#run('FIFOQueueV2', attrs, [], 1)[0]!.id;
  }

  /** In a compiled function: sends a tensor. @param scale is multiplied with before a value is rounded to float16. */
  send(tensor: tf.Tensor, scale = 1): void {
    const graph = recording();
    graph.usesQueue = true;
    const value =
      this.#dtype === DataType.FLOAT
        ? graph.valueOf(tensorId(tensor))
        : graph.record(
            'Cast',
            castAttrs(DataType.FLOAT, DataType.HALF),
            [graph.valueOf(tensorId(scaledForHalf(tensor, scale)))],
            1,
          )[0]!;
    const inputs = [graph.valueOf(this.#handle), value];
    graph.record('QueueEnqueueV2', this.#attrs('Tcomponents'), inputs, 0, { device: this.#device });
  }

  /**
   * In a compiled function: waits for the next tensor.
   * @param scale what the sender multiplied with: it is divided by.
   * @returns float32, a value without a gradient.
   */
  receive(shape: readonly number[], scale = 1): tf.Tensor {
    const graph = recording();
    graph.usesQueue = true;
    const known = [{ shape: [...shape] }];
    const options = { known, device: this.#device };
    const [value] = graph.record(
      'QueueDequeueV2',
      this.#attrs('component_types'),
      [graph.valueOf(this.#handle)],
      1,
      options,
    );
    if (this.#dtype === DataType.FLOAT) return tensorOf(value!);
    const cast = tensorOf(graph.record('Cast', castAttrs(DataType.HALF, DataType.FLOAT), [value!], 1)[0]!);
    return unscaledFromHalf(cast, scale);
  }

  /** Outside of a function: waits for the next tensor. @returns the caller's. @throws NativeError when it is cancelled. */
  take(): QueuedTensor {
    const binding = this.#binding;
    const metadata = this.#run('QueueDequeueV2', this.#attrs('component_types'), [this.#handle], 1)[0]!;
    return {
      shape: metadata.shape,
      copyTo: (target) => binding.copyTo(metadata.id, target),
      toTensor: () => tensorOf(metadata),
      dispose: () => binding.deleteTensor(metadata.id),
    };
  }

  /** Outside of a function: sends a tensor of tfjs, float32, which stays the caller's. */
  put(tensor: tf.Tensor): void {
    this.#run('QueueEnqueueV2', this.#attrs('Tcomponents'), [this.#handle, tensorId(tensor)], 0);
  }

  /**
   * Outside of a function: sends values of the queue's type where they lie, in shared memory, from a multiple of 4 bytes on.
   * They stay as they are until whoever receives them has used them.
   * @param isCopied copies them before this returns.
   * @throws NativeError when there are not as many bytes as the shape has.
   */
  putBytes(shape: readonly number[], bytes: Uint8Array, isCopied = false): void {
    const { buffer, byteOffset, byteLength } = bytes;
    const values = this.#dtype === DataType.FLOAT ? new Float32Array(buffer, byteOffset, byteLength / 4) : bytes;
    const id = hostTensor(this.#binding, shape, this.#dtype, values, isCopied);
    try {
      this.#run('QueueEnqueueV2', this.#attrs('Tcomponents'), [this.#handle, id], 0);
    } finally {
      this.#binding.deleteTensor(id);
    }
  }

  /** Takes out what nobody waits for; of a queue that no other thread takes from. */
  clear(): void {
    const [size] = this.#run('QueueSizeV2', [], [this.#handle], 1);
    const [left] = this.#binding.tensorDataSync(size!.id) as Int32Array;
    this.#binding.deleteTensor(size!.id);
    for (let i = 0; i < left!; i++) this.take().dispose();
  }

  /**
   * Ends it for everybody who has it, and takes out what is in it: who waits for a tensor has an error, and so has who sends
   * one later. Never waits, also where another thread takes from it.
   */
  close(): void {
    const attrs: OpAttr[] = [{ name: 'cancel_pending_enqueues', type: AttrType.BOOL, value: true }];
    this.#run('QueueCloseV2', attrs, [this.#handle], 0);
    try {
      for (;;) this.take().dispose();
    } catch (error) {
      if (!(error instanceof NativeError) || error.code !== OUT_OF_RANGE) throw error;
    }
  }

  /** Frees it, also for who has one of the same name. Functions that use it are disposed of before. */
  dispose(): void {
    const attrs: OpAttr[] = [{ name: 'ignore_lookup_error', type: AttrType.BOOL, value: true }];
    this.#run('DestroyResourceOp', attrs, [this.#handle], 0);
    this.release();
  }

  /** Frees this one's handle of it; who has one of the same name has the queue. */
  release(): void {
    this.#binding.deleteTensor(this.#handle);
  }

  #run(op: string, attrs: OpAttr[], ids: number[], count: number) {
    return this.#binding.executeOp(op, attrs, ids, count, this.#device);
  }

  #types(name: string): OpAttr {
    return { name, type: AttrType.TYPE, value: [this.#dtype] };
  }

  #attrs(types: string): OpAttr[] {
    return [this.#types(types), { name: 'timeout_ms', type: AttrType.INT, value: -1 }]; // TensorFlow knows no other
  }
}

function recording(): Graph {
  const graph = recordingGraph(currentBinding());
  if (graph) return graph;
  throw new NativeError('Cannot use a queue here: a compiled function sends and receives by it; call it in one', 9);
}
