/**
 * "A tf.function for tfjs": a function of tensors is run once, recording; from then on it is one call of a TensorFlow
 * function, and its gradient, which tfjs's own tape made, another.
 */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { currentBinding, ownBinding, tensorId, withOwnBinding } from '../binding/backend.js';
import type { PinnedBinding } from '../binding/binding.js';
import { recordingGraph } from './graph.js';
import type { RunsWhile } from './run-while.js';
import { Trace } from './trace.js';

export interface CompileOptions {
  /**
   * `graph`: TensorFlow runs the recorded ops as they are, each on the device that this thread is pinned to; `xla`: XLA
   * compiles them for that device, which takes seconds for each set of shapes.
   */
  mode?: 'graph' | 'xla';
  /** Which inputs get a gradient, in order; by default each of float32. Others cost nothing backward, and theirs is 0. */
  gradients?: readonly boolean[];
}

/** A function that has been compiled, or is with its first call. */
export interface Compiled {
  /**
   * Calls it. Of each new set of shapes and data types the first call traces.
   * @returns the results; the caller's (or `tf.tidy`'s). tfjs's tape differentiates the first one.
   * @throws NativeError that names the op, when one cannot be traced; with TensorFlow's text, when one cannot be run.
   */
  (...inputs: tf.Tensor[]): tf.Tensor[];
  /**
   * Calls it, off the tape, in a thread of TensorFlow's, and runs `work` in this thread meanwhile, which takes all that the
   * function sends by queues to the host, and sends all that it waits for.
   * @throws NativeError as a call, and what `work` throws: whichever fails first ends the other.
   */
  runWhile(by: RunsWhile, work: () => void, ...inputs: tf.Tensor[]): tf.Tensor[];
  /** How many traces there are: one for each set of shapes, with and without a gradient. */
  readonly traces: number;
  /** Frees the traces; what XLA compiled stays for the next function that is the same. A later call traces anew. */
  dispose(): void;
}

const MODES = ['graph', 'xla'];

/**
 * Compiles a function of tensors.
 *
 * `fn` runs when it is traced and never again: what changes from call to call has to be an input, also a learning rate, a
 * step, a seed. Tensors and variables from outside that it uses become hidden inputs, without a gradient, and have to
 * outlive it. It may not read values. Compiled functions within it become part of it; but one for XLA that nothing
 * differentiates stays XLA's, within a function that is not; what it uses of that function has to be its input.
 * @param fn takes tensors and returns tensors; only the first of them is differentiable.
 */
export function compile(fn: (...inputs: tf.Tensor[]) => tf.Tensor[], options: CompileOptions = {}): Compiled {
  const { mode = 'graph' } = options;
  if (!MODES.includes(mode)) {
    throw new NativeError(`Cannot compile in the mode ${JSON.stringify(mode)}, expected one of ${MODES.join(', ')}`, 3);
  }
  // A trace holds on to its binding: on another device the function is traced anew.
  let traces = new Map<string, Trace>();
  let device: PinnedBinding | undefined;

  const traceOf = (inputs: readonly tf.Tensor[], isDifferentiated: boolean): Trace => {
    const key = `${isDifferentiated} ${inputs.map(({ dtype, shape }) => `${dtype}[${shape}]`).join(' ')}`;
    const own = ownBinding();
    if (device !== own) {
      dispose();
      device = own;
    }
    const found = traces.get(key);
    if (found) return found;
    const described = inputs.map((input) => currentBinding().describe(tensorId(input)));
    const trace = withOwnBinding(() => new Trace(fn, described, isDifferentiated, options));
    traces.set(key, trace);
    return trace;
  };
  const call = (...inputs: tf.Tensor[]): tf.Tensor[] => {
    // tfjs keeps no public word for "the tape records".
    const isDifferentiated = (tf.engine() as unknown as { isTapeOn(): boolean }).isTapeOn();
    const graph = recordingGraph(currentBinding());
    if (!graph) return traceOf(inputs, isDifferentiated).run(inputs);
    if (mode !== 'xla' || graph.isForXla || isDifferentiated) return fn(...inputs);
    return traceOf(inputs, false).callIn(graph, inputs);
  };
  const runWhile = (by: RunsWhile, work: () => void, ...inputs: tf.Tensor[]) =>
    traceOf(inputs, false).runWhile(by, work, inputs);
  const dispose = () => {
    for (const trace of traces.values()) trace.dispose();
    traces = new Map();
  };
  return Object.defineProperty(Object.assign(call, { dispose, runWhile }), 'traces', {
    get: () => traces.size,
  }) as Compiled;
}
