/** A trace: what `compile` recorded for one set of shapes, as a TensorFlow function and one for its gradient. */
import { threadId } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { currentBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import { attr, type OpAttr } from '../c/attributes.js';
import { openContext } from '../c/context.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { Code, check } from '../c/status.js';
import { type CapturedSource, Graph } from './graph.js';
import { keyOf, type Node, outputsOf, type Value } from './node.js';
import { type Recorded, record } from './record.js';
import { type RunsWhile, runWhile } from './run-while.js';
import { runOnTape, type Save } from './tape.js';

/** A function of TensorFlow's context; `fn` is a TF_Function, to be deleted by the trace. */
type Defined = { name: string; fn: Pointer };

interface Source {
  /** `given`: the inputs, then what is captured. `kept`: what the forward function returns after its results. */
  from: 'given' | 'kept' | 'dy';
  index: number;
  value: Value;
}

let functions = 0;

export type Trace = ReturnType<typeof trace>;

/** Records `fn` and defines the TensorFlow functions. @param inputs their shapes and data types. */
export function trace(
  fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
  inputs: readonly TensorMetadata[],
  options: { isDifferentiated: boolean; isForXla: boolean; gradients: readonly boolean[] | undefined },
) {
  const { isDifferentiated, isForXla } = options;
  const binding = currentBinding();
  const wanted = inputs.map(({ dtype }, i) => options.gradients?.[i] ?? dtype === DataType.FLOAT);
  const graph = new Graph(openContext(), binding, isForXla);
  try {
    const recorded = record(graph, fn, inputs, isDifferentiated ? wanted : undefined);
    return callable(graph, recorded, binding);
  } finally {
    graph.dispose();
  }
}

function callable(graph: Graph, recorded: Recorded, binding: PinnedBinding) {
  const { isForXla, usesQueue } = graph;
  const { results, boundary } = recorded;
  const captured = graph.captured.map(({ source }) => source);
  const given = [...recorded.inputs, ...graph.captured.map(({ value }) => value)];
  const sources = sourcesOf(graph, recorded, given);
  const kept = sources.flatMap(({ from, value }) => (from === 'kept' ? [value] : []));
  const gradients = recorded.gradients.filter((each) => each !== undefined);
  const nodes = graph.nodes.slice(0, boundary);
  const constants = nodes.filter(({ op }) => op === 'Const'); // both functions have them
  const forward = define(graph, nodes, given, [...results, ...kept]);
  const backwardInputs = sources.map(({ value }) => value);
  const backward =
    gradients.length > 0
      ? define(graph, [...constants, ...graph.nodes.slice(boundary)], backwardInputs, gradients)
      : undefined;

  const attrs: OpAttr[] = isForXla ? [attr.bool('_XlaMustCompile', true)] : [];
  // XLA compiles for the device of the call. Otherwise nodes have their own devices, and a function over several devices
  // must be called on the host.
  const device = isForXla ? binding.device : binding.host;
  const call = ({ name }: Defined, ids: number[], outputs: readonly Value[]) =>
    binding.callFunction(name, attrs, ids, outputs, device);
  const idsOf = (inputs: readonly tf.Tensor[]) => [...inputs.map(tensorId), ...captured.map(idOf)];
  const refuseQueue = () => {
    if (!usesQueue) return;
    throw new NativeError(
      'Cannot call a compiled function that uses a queue: nobody serves the other end of the queue; use runWhile()',
      Code.FAILED_PRECONDITION,
    );
  };

  /** @param saved what is kept, then those inputs that the backward function needs. */
  const differentiate = (dy: tf.Tensor, saved: readonly tf.Tensor[], inputs: readonly tf.Tensor[]) => {
    let made: tf.Tensor[] = [];
    if (backward) {
      let next = kept.length;
      const ids = sources.map(({ from, index }) => {
        if (from === 'dy') return tensorId(dy);
        if (from === 'kept') return tensorId(saved[index]!);
        return index < inputs.length ? tensorId(saved[next++]!) : idOf(captured[index - inputs.length]!);
      });
      made = call(backward, ids, gradients).map(tensorOf);
      tf.dispose(saved.slice(0, kept.length)); // the tape would keep them until it has all gradients
    }
    return recorded.gradients.map((value, i) => {
      const gradient = value && made.shift();
      return () => gradient ?? tf.zerosLike(inputs[i]!);
    });
  };

  return {
    /** Calls the function, on the tape if one is recording. */
    run(inputs: readonly tf.Tensor[]): tf.Tensor[] {
      refuseQueue();
      if (!recorded.dy) return call(forward, idsOf(inputs), results).map(tensorOf);
      const forwardFunc = (save: Save) => {
        const all = call(forward, idsOf(inputs), [...results, ...kept]).map(tensorOf);
        const needed = sources.flatMap(({ from, index }) => (from === 'given' ? (inputs[index] ?? []) : []));
        save([...all.slice(results.length), ...needed]);
        return all.slice(0, results.length);
      };
      const outputs = runOnTape(inputs, forwardFunc, ([dy], saved) => differentiate(dy!, saved, inputs));
      return outputs.map((each, i) => (i === 0 ? each : notDifferentiable(each)));
    },
    /** Calls the function off the tape, and runs `work` in this thread meanwhile. */
    runWhile(by: RunsWhile, work: () => void, inputs: readonly tf.Tensor[]): tf.Tensor[] {
      const ids = idsOf(inputs);
      return runWhile(by, () => call(forward, ids, results), work).map(tensorOf);
    },
    /** Records a call of the function into another graph, without a gradient. */
    callIn(outer: Graph, inputs: readonly tf.Tensor[]): tf.Tensor[] {
      refuseQueue();
      return outer.call(forward, attrs, idsOf(inputs), results).map(tensorOf);
    },
    dispose(): void {
      const context = openContext();
      const { c, address, status } = context;
      const defined = backward ? [forward, backward] : [forward];
      for (const { fn } of defined) c.TF_DeleteFunction(fn);
      // Another thread may have the same function of XLA's, and the next that is compiled finds its machine code.
      if (isForXla) return;
      for (const { name } of defined) c.TFE_ContextRemoveFunction(address, name, status);
      check(context, 'free a compiled function');
    },
  };
}

/** What the gradient's nodes take from elsewhere, each once: inputs, captured values, `dy`, and what the function computed. */
function sourcesOf(graph: Graph, { boundary, dy }: Recorded, given: readonly Value[]): Source[] {
  const forward = new Set(graph.nodes.slice(0, boundary));
  const numbers = new Map(given.map(({ node }, i) => [node, i]));
  const needed = new Map(
    graph.nodes.slice(boundary).flatMap(({ inputs }) => inputs.map((value) => [keyOf(value), value])),
  );
  let kept = 0;
  return [...needed.values()].flatMap((value): Source[] => {
    const index = numbers.get(value.node);
    if (index !== undefined) return [{ from: 'given', index, value }];
    if (value.node === dy?.node) return [{ from: 'dy', index: 0, value }];
    if (value.node.op === 'Const' || !forward.has(value.node)) return [];
    return [{ from: 'kept', index: kept++, value }];
  });
}

/** The id of what is from outside, as it is now. */
function idOf(source: CapturedSource): number {
  if ('id' in source) return source.id;
  if (!source.tensor.isDisposed) return tensorId(source.tensor);
  throw new NativeError(
    'Cannot call a compiled function: a tensor from outside that it uses was disposed of; keep it, or make it an input',
    Code.FAILED_PRECONDITION,
  );
}

function notDifferentiable(result: tf.Tensor): tf.Tensor {
  const gradFunc = (): never => {
    throw new NativeError(
      'Cannot differentiate another result of a compiled function than its first; return the one to be differentiated first',
      Code.UNIMPLEMENTED,
    );
  };
  return tf.customGrad((x) => ({ value: (x as tf.Tensor).clone(), gradFunc }))(result);
}

function define(graph: Graph, nodes: readonly Node[], inputs: readonly Value[], outputs: readonly Value[]): Defined {
  const context = openContext();
  const { c, address, status } = context;
  const { isForXla } = graph;
  // Names are unique in the process: thread ids are not reused. To XLA's, TensorFlow adds a hash of the function.
  const prefix = isForXla ? 'alexnet_split_xla' : `alexnet_split_${threadId}_${functions++}`;
  const body = nodes.filter(({ op }) => op !== 'Placeholder');
  const operations = BigUint64Array.from(body, ({ operation }) => operation);
  const stateful = body.filter(({ isStateful }) => isStateful); // they run even if no output needs them
  const controls = BigUint64Array.from(stateful, ({ operation }) => operation);
  const fn = c.TF_GraphToFunctionWithControlOutputs(
    graph.pointer,
    prefix,
    isForXla ? 1 : 0,
    ...([operations.length, operations] as const),
    ...([inputs.length, outputsOf(inputs)] as const),
    ...([outputs.length, outputsOf(outputs), null] as const),
    ...([controls.length, controls, null] as const),
    null,
    null,
    status,
  );
  check(context, 'compile a function');
  c.TFE_ContextAddFunction(address, fn, status);
  try {
    check(context, 'compile a function');
  } catch (error) {
    c.TF_DeleteFunction(fn);
    throw error;
  }
  return { name: c.TF_FunctionName(fn), fn };
}
