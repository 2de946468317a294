/**
 * Turns a function of tfjs tensors into a TensorFlow function, as `tf.function` does in Python:
 *
 * 1. *Tracing.* `fn` runs once with placeholders for tensors. Meanwhile a {@link Graph} stands in for the thread's binding
 *    (`graph.ts`): every op that tfjs's kernels run becomes a node of a TensorFlow graph instead of being executed. If
 *    tfjs's tape is recording, its backward pass goes into the graph too (`record.ts`).
 * 2. *Defining.* The nodes of the forward pass become a TensorFlow function in the context of the process, and those of the
 *    backward pass another. The forward function also returns the values that the backward function needs (`trace.ts`).
 * 3. *Calling.* From then on a call is one op for TensorFlow, and so is its gradient. On tfjs's tape a call is one
 *    operation (`tape.ts`). Each set of shapes and data types has a trace of its own.
 *
 * A running function exchanges tensors with JavaScript, or with another function, by a *FIFO queue* (`tensor-queue.ts`): an
 * op of the function enqueues or dequeues, and waits where the queue is empty. Meanwhile this thread serves the other
 * end (`run-while.ts`).
 */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { currentBinding, ownBinding, tensorId, withOwnBinding } from '../binding/backend.js';
import type { PinnedBinding } from '../binding/binding.js';
import { Code } from '../c/status.js';
import { recordingGraph } from './graph.js';
import type { RunsWhile } from './run-while.js';
import { type Trace, trace } from './trace.js';

const MODES = ['graph', 'xla'] as const;

export interface CompileOptions {
  /**
   * `graph` (default): TensorFlow runs the recorded ops as they are. `xla`: XLA compiles them for the thread's device,
   * which takes seconds for each set of shapes.
   */
  mode?: (typeof MODES)[number];
  /** Which inputs get a gradient, in order; default each of float32. For others it is 0, and costs nothing. */
  gradients?: readonly boolean[];
}

export interface Compiled {
  /**
   * Calls the function. The first call with a new set of shapes and data types traces it.
   * @returns the results; the caller's (or `tf.tidy`'s). tfjs's tape differentiates the first one.
   * @throws NativeError that names the op if one cannot be traced; with TensorFlow's text if one cannot be run.
   */
  (...inputs: tf.Tensor[]): tf.Tensor[];
  /**
   * Calls the function off the tape, in a thread of TensorFlow's. Meanwhile runs `work` in this thread, which must take
   * everything that the function sends by host queues, and send everything that it receives.
   * @throws NativeError as a call does, or what `work` throws: whichever fails first ends the other.
   */
  runWhile(by: RunsWhile, work: () => void, ...inputs: tf.Tensor[]): tf.Tensor[];
  /** Number of traces: one for each set of shapes, with and without a gradient. */
  readonly traces: number;
  /** Frees the traces, but not XLA's machine code, which the same function can use again. A later call traces again. */
  dispose(): void;
}

/**
 * Compiles a function of tensors. It runs while it is traced and never again. Whatever changes from call to call must be
 * an input, also a learning rate, a step or a seed. Tensors and variables from outside become hidden inputs without a
 * gradient, and must outlive the compiled function. `fn` must not read values. Compiled functions that it calls become part
 * of it; but one for XLA that nothing differentiates stays a function of its own, and must take as inputs what it uses of
 * the outer function.
 * @param fn takes and returns tensors; only the first result is differentiable.
 */
export function compile(fn: (...inputs: tf.Tensor[]) => tf.Tensor[], options: CompileOptions = {}): Compiled {
  const { mode = 'graph', gradients } = options;
  if (!MODES.includes(mode)) {
    throw new NativeError(
      `Cannot compile in the mode ${JSON.stringify(mode)}, expected one of ${MODES.join(', ')}`,
      Code.INVALID_ARGUMENT,
    );
  }
  const traces = new Map<string, Trace>();
  let device: PinnedBinding | undefined;

  const traceOf = (inputs: readonly tf.Tensor[], isDifferentiated: boolean): Trace => {
    const own = ownBinding();
    if (device !== own) dispose(); // the thread has moved to another device
    device = own;
    const key = `${isDifferentiated} ${inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(' ')}`;
    const found = traces.get(key);
    if (found) return found;
    const described = inputs.map((input) => currentBinding().describe(tensorId(input)));
    const options = { isDifferentiated, isForXla: mode === 'xla', gradients };
    const made = withOwnBinding(() => trace(fn, described, options));
    traces.set(key, made);
    return made;
  };
  const call = (...inputs: tf.Tensor[]): tf.Tensor[] => {
    const isDifferentiated = (tf.engine() as unknown as { isTapeOn(): boolean }).isTapeOn(); // not in tfjs's types
    const graph = recordingGraph(currentBinding());
    if (!graph) return traceOf(inputs, isDifferentiated).run(inputs);
    if (mode !== 'xla' || graph.isForXla || isDifferentiated) return fn(...inputs);
    return traceOf(inputs, false).callIn(graph, inputs);
  };
  const runWhile = (by: RunsWhile, work: () => void, ...inputs: tf.Tensor[]) =>
    traceOf(inputs, false).runWhile(by, work, inputs);
  const dispose = () => {
    for (const each of traces.values()) each.dispose();
    traces.clear();
  };
  const compiled = Object.assign(call, { dispose, runWhile });
  return Object.defineProperty(compiled, 'traces', { get: () => traces.size }) as Compiled;
}
