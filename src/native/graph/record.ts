/** Runs a function of tensors, and tfjs's backward pass over it, into a graph. */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { tensorId, tensorOf, withBinding } from '../binding/backend.js';
import type { TensorMetadata } from '../binding/binding.js';
import { DataType } from '../c/signatures.js';
import { Code } from '../c/status.js';
import type { Graph } from './graph.js';
import { keyOf, type Value } from './node.js';

export interface Recorded {
  /** Placeholders. */
  inputs: readonly Value[];
  results: readonly Value[];
  /** One for each input; undefined for an input without a gradient. */
  gradients: readonly (Value | undefined)[];
  /** Nodes from this number on belong to the gradient. */
  boundary: number;
  /** Placeholder for the gradient of the first result. */
  dy: Value | undefined;
}

/** Records `fn`. @param wanted which inputs get a gradient; undefined: no backward pass is recorded. */
export function record(
  graph: Graph,
  fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: readonly Omit<TensorMetadata, 'id'>[],
  wanted: readonly boolean[] | undefined,
): Recorded {
  const resolve = (tensor: tf.Tensor, own: (tensor: tf.Tensor) => number) => graph.resolve(tensor, own);
  return withBinding(graph.asBinding(), resolve, () =>
    withoutTape(() => {
      const placeholders = inputs.map(({ shape, dtype }) => graph.placeholder(shape, dtype));
      const tensors = placeholders.map(tensorOf);
      if (!wanted) {
        const { results } = recordForward(graph, fn, tensors);
        const gradients = inputs.map(() => undefined);
        return { inputs: placeholders, results, gradients, boundary: graph.nodes.length, dy: undefined };
      }
      let results: Value[] = [];
      let boundary = 0;
      let dy: Value | undefined;
      const forward = (): tf.Tensor => {
        const made = recordForward(graph, fn, tensors);
        results = made.results;
        boundary = graph.nodes.length;
        graph.startFunction();
        refuseVariables(graph);
        dy = graph.placeholder(made.first.shape, DataType.FLOAT);
        return endOfTape(made.first, tf.keep(tensorOf(dy)));
      };
      const engine = tf.engine() as unknown as {
        gradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: null, allowNone: boolean): { grads: (tf.Tensor | null)[] };
      };
      const sources = tensors.filter((_, i) => wanted[i]);
      const { grads } = engine.gradients(forward, sources, null, true);
      const found = grads.flatMap((gradient) => (gradient ? [graph.valueOf(tensorId(gradient))] : []));
      const made = distinctNodes(graph, found, boundary);
      const gradients = wanted.map((isWanted) => (isWanted && grads.shift() ? made.shift() : undefined));
      return { inputs: placeholders, results, gradients, boundary, dy };
    }),
  );
}

function recordForward(
  graph: Graph,
  fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: tf.Tensor[],
): { first: tf.Tensor; results: Value[] } {
  const made: unknown = fn(...inputs);
  if (!Array.isArray(made) || !made.every((each) => each instanceof tf.Tensor)) {
    throw new NativeError(
      'Cannot compile a function that does not return a list of tensors; return one',
      Code.INVALID_ARGUMENT,
    );
  }
  const [first] = made as tf.Tensor[];
  if (!first)
    throw new NativeError(
      'Cannot compile a function that returns no tensor; return at least one',
      Code.INVALID_ARGUMENT,
    );
  const values = made.map((tensor) => graph.valueOf(tensorId(tensor)));
  return { first, results: distinctNodes(graph, values, 0) };
}

/** @throws NativeError for a trainable variable that is not an input: it would get no gradient. */
function refuseVariables(graph: Graph): void {
  for (const { source } of graph.captured) {
    if (!('tensor' in source) || !(source.tensor instanceof tf.Variable) || !source.tensor.trainable) continue;
    throw new NativeError(
      `Cannot differentiate a compiled function that uses the trainable variable ${source.tensor.name} from outside: it gets no gradient; make it an input`,
      Code.FAILED_PRECONDITION,
    );
  }
}

/** Runs `action` in a scope of its own. No tensor outlives it, and nothing gets onto a tape that is recording. */
function withoutTape<R>(action: () => R): R {
  const engine = tf.engine() as unknown as { state: { gradientDepth: number; activeTape: unknown } };
  const { gradientDepth, activeTape } = engine.state;
  engine.state.gradientDepth = 0;
  try {
    let result: R;
    tf.tidy(() => {
      result = action();
    });
    return result!;
  } finally {
    engine.state.gradientDepth = gradientDepth;
    engine.state.activeTape = activeTape;
  }
}

/** Ends the tape with a scalar whose gradient with respect to `y` is `dy`. */
function endOfTape(y: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  const gradFunc = () => {
    const value = dy.clone(); // `dy` was kept, or the tape's scopes would have disposed of it before
    dy.dispose();
    return value;
  };
  return tf.customGrad((_y) => ({ value: tf.scalar(0), gradFunc }))(y);
}

/**
 * Gives each of a function's results a node of its own: a copy for a placeholder, for a value that occurs twice, and for
 * one that another function computed.
 * @param from number of the function's first node.
 */
function distinctNodes(graph: Graph, values: readonly Value[], from: number): Value[] {
  const own = new Set(graph.nodes.slice(from));
  const seen = new Set<string>();
  return values.map((value) => {
    const key = keyOf(value);
    const isFree = own.has(value.node) && value.node.op !== 'Placeholder' && !seen.has(key);
    seen.add(key);
    return isFree ? value : graph.copy(value);
  });
}
