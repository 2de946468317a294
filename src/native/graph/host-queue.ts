/**
 * A way between a compiled function, while it runs, and the JavaScript that called it: the function hands tensors out,
 * and waits for others.
 */
import { threadId } from 'node:worker_threads';
import type * as tf from '@tensorflow/tfjs';
import { NativeError } from '../../errors.js';
import { currentBinding, ownBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import { openContext } from '../c/context.js';
import { AttrType, DataType } from '../c/signatures.js';
import { Aside } from './async-executor.js';
import { type Graph, recordingGraph } from './graph.js';

const FLOATS = { type: AttrType.TYPE, value: [DataType.FLOAT] };
const FOR_EVER: OpAttr = { name: 'timeout_ms', type: AttrType.INT, value: -1 };
const ENQUEUE: OpAttr[] = [{ name: 'Tcomponents', ...FLOATS }, FOR_EVER];
const DEQUEUE: OpAttr[] = [{ name: 'component_types', ...FLOATS }, FOR_EVER];

/** `TF_CANCELLED` of `tensorflow/c/tf_status.h`. */
const CANCELLED = 1;

let queues = 0;

/**
 * Two queues of TensorFlow's, of float32 tensors of any shape. Values are handed over as they lie. A function that uses it
 * is called by `Compiled.beside`; what goes out, and what comes in, does so in the order in which it was recorded, and the
 * work beside it takes and gives as many. For one thread, and for a CPU device: TensorFlow has its queues there alone.
 */
export class Passage {
  readonly #binding: PinnedBinding;
  readonly #out: number;
  readonly #in: number;

  /** @throws NativeError on another device than a CPU. */
  constructor() {
    this.#binding = ownBinding();
    this.#out = makeQueue(this.#binding);
    this.#in = makeQueue(this.#binding);
  }

  /** In a compiled function: hands a tensor out. */
  out(tensor: tf.Tensor): void {
    const graph = recording();
    graph.leadsOut = true;
    graph.record('QueueEnqueueV2', ENQUEUE, [graph.valueOf(this.#out), graph.valueOf(tensorId(tensor))], 0);
  }

  /** In a compiled function: a tensor that is given; it waits for it. @returns a value without a gradient. */
  in(shape: readonly number[]): tf.Tensor {
    const graph = recording();
    graph.leadsOut = true;
    const known = [{ shape: [...shape] }];
    return tensorOf(graph.record('QueueDequeueV2', DEQUEUE, [graph.valueOf(this.#in)], 1, known)[0]!);
  }

  /** Beside the function: what it hands out next; waits for it. @returns the caller's. @throws NativeError when it ended. */
  take(): tf.Tensor {
    return tensorOf(this.#binding.executeOp('QueueDequeueV2', DEQUEUE, [this.#out], 1)[0]!);
  }

  /**
   * Beside the function: gives it what it waits for.
   * @param tensor stays the caller's; its memory as it is until the function hands out what it computed with it.
   */
  give(tensor: tf.Tensor): void {
    this.#binding.executeOp('QueueEnqueueV2', ENQUEUE, [this.#in, tensorId(tensor)], 0);
  }

  /**
   * Has what `start` calls run in TensorFlow's thread while `work` runs in this one, and waits for both. When one of them
   * fails the other is ended: `work` where it takes or gives.
   * @returns what `start` does, computed. @throws what failed first; what was on its way is freed.
   */
  run(start: () => TensorMetadata[], work: () => void): TensorMetadata[] {
    const { c } = openContext().library;
    const binding = this.#binding;
    const cancellation = c.TFE_NewCancellationManager();
    const aside = new Aside();
    let started: TensorMetadata[] = [];
    let failure: { error: unknown } | undefined;
    const leave = () => {
      c.TFE_CancellationManagerStartCancel(cancellation);
      errorOf(() => aside.wait());
      aside.dispose();
    };
    // A thread of JavaScript's that ends takes none of TensorFlow's with it, nor a function that waits for it.
    process.once('exit', leave);
    binding.cancellation = cancellation;
    try {
      try {
        started = aside.start(start);
        work();
      } catch (error) {
        failure = { error };
        c.TFE_CancellationManagerStartCancel(cancellation);
      }
      const ended = errorOf(() => aside.wait());
      // Whichever ended by itself has ended the other.
      if (ended && !(failure && ended.code === CANCELLED)) failure = { error: ended };
      if (!failure) return started;
    } finally {
      process.off('exit', leave);
      binding.cancellation = undefined;
      aside.dispose();
      c.TFE_DeleteCancellationManager(cancellation);
    }
    for (const { id } of started) binding.deleteTensor(id);
    for (const queue of [this.#out, this.#in]) empty(binding, queue);
    throw failure.error;
  }

  /** Frees the queues. Traces that use it are disposed of before. */
  dispose(): void {
    const attrs: OpAttr[] = [{ name: 'ignore_lookup_error', type: AttrType.BOOL, value: true }];
    for (const queue of [this.#out, this.#in]) {
      this.#binding.executeOp('DestroyResourceOp', attrs, [queue], 0);
      this.#binding.deleteTensor(queue);
    }
  }
}

function recording(): Graph {
  const graph = recordingGraph(currentBinding());
  if (graph) return graph;
  throw new NativeError('Cannot use a passage here: it leads out of a compiled function; call it in one', 9);
}

/** @returns a resource's id. */
function makeQueue(binding: PinnedBinding): number {
  const text = (name: string, value: string): OpAttr => ({ name, type: AttrType.STRING, value });
  const attrs: OpAttr[] = [
    { name: 'component_types', ...FLOATS },
    { name: 'capacity', type: AttrType.INT, value: -1 },
    text('container', ''),
    text('shared_name', `alexnet_split_${threadId}_${queues++}`),
  ];
  return binding.executeOp('FIFOQueueV2', attrs, [], 1)[0]!.id;
}

/** Takes out what is in a queue that nobody waits at. */
function empty(binding: PinnedBinding, queue: number): void {
  const [size] = binding.executeOp('QueueSizeV2', [], [queue], 1);
  const [left] = binding.tensorDataSync(size!.id) as Int32Array;
  binding.deleteTensor(size!.id);
  for (let i = 0; i < left!; i++) {
    for (const { id } of binding.executeOp('QueueDequeueV2', DEQUEUE, [queue], 1)) binding.deleteTensor(id);
  }
}

function errorOf(action: () => void): NativeError | undefined {
  try {
    action();
  } catch (error) {
    return error as NativeError;
  }
  return undefined;
}
