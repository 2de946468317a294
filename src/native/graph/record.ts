/** Runs a function of tensors, and tfjs's tape over it, into a graph. */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { tensorId, tensorOf, withBinding } from '../binding/backend.js';
import type { TensorMetadata } from '../binding/binding.js';
import { DataType } from '../c/signatures.js';
import type { Graph } from './graph.js';
import { keyOf, typeAttr, type Value } from './graph-value.js';

/** What a function and its gradient became in the graph. */
export interface Recorded {
  inputs: readonly Value[];
  results: readonly Value[];
  /** For each input, when it has one. */
  gradients: readonly (Value | undefined)[];
  /** Number of nodes when the function returned: those from there on are the gradient's. */
  boundary: number;
  dy: Value | undefined;
}

/** Runs `fn`, and tfjs's tape over it, into the graph. @param inputs their shapes and data types. */
export function record(
  graph: Graph,
  fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: readonly Omit<TensorMetadata, 'id'>[],
  wanted: readonly boolean[],
  isDifferentiated: boolean,
): Recorded {
  const resolve = (tensor: tf.Tensor, own: (tensor: tf.Tensor) => number) => graph.resolve(tensor, own);
  return withBinding(graph.asBinding(), resolve, () =>
    untaped(() => {
      const given = inputs.map(({ shape, dtype }) => graph.placeholder(shape, dtype));
      const tensors = given.map(tensorOf);
      let results: Value[] = [];
      let boundary = 0;
      let dy: Value | undefined;
      const forward = (): tf.Tensor => {
        const made: unknown = fn(...tensors);
        if (!Array.isArray(made) || !made.every((each) => each instanceof tf.Tensor)) {
          throw new NativeError('Cannot compile a function that does not return a list of tensors; return one', 3);
        }
        results = made.map((tensor) => graph.valueOf(tensorId(tensor)));
        results = ownNodes(graph, results, 0);
        const [first] = made as tf.Tensor[];
        if (!first) throw new NativeError('Cannot compile a function that returns no tensor; return at least one', 3);
        boundary = graph.nodes.length;
        graph.cut();
        if (!isDifferentiated) return first;
        refuseVariables(graph);
        dy = graph.placeholder(first.shape, DataType.FLOAT);
        return endOf(first, tf.keep(tensorOf(dy)));
      };
      if (!isDifferentiated) {
        forward();
        return { inputs: given, results, gradients: given.map(() => undefined), boundary, dy };
      }
      const sources = tensors.filter((_, i) => wanted[i]);
      const engine = tf.engine() as unknown as {
        gradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: null, allowNone: boolean): { grads: (tf.Tensor | null)[] };
      };
      const { grads } = engine.gradients(forward, sources, null, true);
      const made = ownNodes(
        graph,
        grads.flatMap((gradient) => (gradient ? [graph.valueOf(tensorId(gradient))] : [])),
        boundary,
      );
      const gradients = wanted.map((isWanted) => (isWanted && grads.shift() ? made.shift() : undefined));
      return { inputs: given, results, gradients, boundary, dy };
    }),
  );
}

/** @throws NativeError for a variable that is to be trained but is no input: it would get no gradient, in silence. */
function refuseVariables(graph: Graph): void {
  for (const { source } of graph.captured) {
    if (!('tensor' in source) || !(source.tensor instanceof tf.Variable) || !source.tensor.trainable) continue;
    throw new NativeError(
      `Cannot differentiate a compiled function that uses the trainable variable ${source.tensor.name} from outside: it gets no gradient; make it an input`,
      9,
    );
  }
}

/** Runs `action` in a scope of its own, of which nothing is left and nothing gets onto a tape that records. */
function untaped<R>(action: () => R): R {
  const engine = tf.engine() as unknown as { state: { gradientDepth: number; activeTape: unknown } };
  const { gradientDepth, activeTape } = engine.state;
  engine.state.gradientDepth = 0;
  let result: R;
  try {
    tf.tidy(() => {
      result = action();
    });
    return result!;
  } finally {
    engine.state.gradientDepth = gradientDepth;
    engine.state.activeTape = activeTape;
  }
}

/** The end of the tape: a scalar whose gradient with respect to `y` is `dy`. */
function endOf(y: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  // The tape's own scopes would dispose of `dy` before its turn.
  const gradFunc = () => {
    const value = dy.clone();
    dy.dispose();
    return value;
  };
  return tf.customGrad((_y) => ({ value: tf.scalar(0), gradFunc }))(y);
}

/**
 * A function's results as nodes of its own: what is given to it, what another function made, and what is there twice get
 * one.
 * @param from number of the first node that is the function's.
 */
function ownNodes(graph: Graph, values: readonly Value[], from: number): Value[] {
  const own = new Set(graph.nodes.slice(from));
  const seen = new Set<string>();
  return values.map((value) => {
    const name = keyOf(value);
    const isFree = own.has(value.node) && value.node.op !== 'Placeholder' && !seen.has(name);
    seen.add(name);
    if (isFree) return value;
    return graph.record('Identity', [typeAttr(value.dtype)], [value], 1)[0]!;
  });
}
