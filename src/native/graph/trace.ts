/** A trace: what `compile` recorded for one set of shapes, as a TensorFlow function and one for its gradient. */
import { threadId } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { currentBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import { openContext } from '../c/context.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { type CapturedSource, Graph } from './graph.js';
import { keyOf, type Node, outputsOf, type Value } from './node.js';
import { type Recorded, record } from './record.js';
import { type RunsWhile, runWhile } from './run-while.js';
import { runOnTape } from './tape.js';

/** A function of TensorFlow's context. */
interface Defined {
  name: string;
  /** TF_Function, to be deleted by the trace. */
  fn: Pointer;
}

/** Where an input of the backward function comes from, and its number there. `given`: the inputs, then what is captured. */
interface Source {
  from: 'given' | 'kept' | 'dy';
  index: number;
  value: Value;
}

let functions = 0;

export class Trace {
  readonly #binding: PinnedBinding;
  readonly #isForXla: boolean;
  readonly #isDifferentiated: boolean;
  readonly #attrs: OpAttr[];
  /**
   * The device that the function is called on. Its nodes have their own devices, so the call itself is on the host, as it must
   * be for a function over several devices. XLA compiles for the device of the call.
   */
  readonly #device: string;
  readonly #forward: Defined;
  readonly #backward: Defined | undefined;
  readonly #results: readonly Value[];
  readonly #captured: readonly CapturedSource[];
  readonly #usesQueue: boolean;
  /** What the forward function returns for the backward function, after its results. */
  readonly #kept: readonly Value[];
  /** Inputs of the backward function. */
  readonly #sources: readonly Source[];
  /** Outputs of the backward function: one for each input; undefined for an input without a gradient. */
  readonly #gradients: readonly (Value | undefined)[];

  /**
   * Records `fn` and defines the functions.
   * @param inputs their shapes and data types.
   * @param gradients which inputs get a gradient; default each of float32.
   */
  constructor(
    fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
    inputs: readonly TensorMetadata[],
    isDifferentiated: boolean,
    { isForXla, gradients }: { isForXla: boolean; gradients: readonly boolean[] | undefined },
  ) {
    this.#binding = currentBinding();
    this.#isForXla = isForXla;
    this.#isDifferentiated = isDifferentiated;
    this.#device = isForXla ? this.#binding.device : this.#binding.host;
    this.#attrs = isForXla ? [{ name: '_XlaMustCompile', type: AttrType.BOOL, value: true }] : [];
    const wanted = inputs.map(({ dtype }, i) => gradients?.[i] ?? dtype === DataType.FLOAT);
    const graph = new Graph(openContext(), this.#binding, isForXla);
    try {
      const recorded = record(graph, fn, inputs, isDifferentiated ? wanted : undefined);
      const given = [...recorded.inputs, ...graph.captured.map(({ value }) => value)];
      this.#results = recorded.results;
      this.#gradients = recorded.gradients;
      this.#sources = sourcesOf(graph, recorded, given);
      this.#kept = this.#sources.flatMap(({ from, value }) => (from === 'kept' ? [value] : []));
      this.#captured = graph.captured.map(({ source }) => source);
      this.#usesQueue = graph.usesQueue;
      const forward = graph.nodes.slice(0, recorded.boundary);
      this.#forward = define(graph, forward, given, [...this.#results, ...this.#kept]);
      const outputs = this.#gradients.filter((each) => each !== undefined);
      if (outputs.length > 0) {
        const constants = forward.filter(({ op }) => op === 'Const'); // both functions have them
        const body = [...constants, ...graph.nodes.slice(recorded.boundary)];
        this.#backward = define(
          graph,
          body,
          this.#sources.map(({ value }) => value),
          outputs,
        );
      }
    } finally {
      graph.dispose();
    }
  }

  /** Calls the function; puts it on the tape if one records. */
  run(inputs: readonly tf.Tensor[]): tf.Tensor[] {
    this.#refuseQueue();
    const ids = this.#idsOf(inputs);
    if (!this.#isDifferentiated) return this.#call(this.#forward, ids, this.#results);
    const results = runOnTape({
      inputs,
      forward: (save) => {
        const all = this.#call(this.#forward, ids, [...this.#results, ...this.#kept]);
        const needed = this.#sources.flatMap(({ from, index }) => (from === 'given' ? (inputs[index] ?? []) : []));
        save([...all.slice(this.#results.length), ...needed]);
        return all.slice(0, this.#results.length);
      },
      backward: ([dy], saved) => this.#differentiate(dy!, saved, inputs),
    });
    return results.map((each, i) => (i === 0 ? each : notDifferentiable(each)));
  }

  /** Calls the function off the tape, and runs `work` in this thread meanwhile. */
  runWhile(by: RunsWhile, work: () => void, inputs: readonly tf.Tensor[]): tf.Tensor[] {
    const ids = this.#idsOf(inputs);
    const start = () => this.#binding.callFunction(this.#forward.name, this.#attrs, ids, this.#results, this.#device);
    return runWhile(by, start, work).map(tensorOf);
  }

  /** Records a call of the function into another graph, without a gradient. */
  callIn(graph: Graph, inputs: readonly tf.Tensor[]): tf.Tensor[] {
    this.#refuseQueue();
    return graph.call(this.#forward, this.#attrs, this.#idsOf(inputs), this.#results).map(tensorOf);
  }

  dispose(): void {
    const { library, address, status } = openContext();
    const defined = [this.#forward, this.#backward].filter((each) => each !== undefined);
    for (const { fn } of defined) library.c.TF_DeleteFunction(fn);
    // Another thread may have the same function of XLA's, and the next that is compiled finds its machine code.
    if (this.#isForXla) return;
    for (const { name } of defined) library.c.TFE_ContextRemoveFunction(address, name, status);
    check(library.c, status, 'free a compiled function');
  }

  /** @param saved what is kept, then those inputs that the backward function needs. */
  #differentiate(dy: tf.Tensor, saved: readonly tf.Tensor[], inputs: readonly tf.Tensor[]): (() => tf.Tensor)[] {
    let gradients: tf.Tensor[] = [];
    if (this.#backward !== undefined) {
      let next = this.#kept.length;
      const ids = this.#sources.map(({ from, index }) => {
        if (from === 'dy') return tensorId(dy);
        if (from === 'kept') return tensorId(saved[index]!);
        return index < inputs.length ? tensorId(saved[next++]!) : idOf(this.#captured[index - inputs.length]!);
      });
      const outputs = this.#gradients.filter((each) => each !== undefined);
      gradients = this.#call(this.#backward, ids, outputs);
      tf.dispose(saved.slice(0, this.#kept.length)); // the tape would keep them until it has all gradients
    }
    let next = 0;
    return this.#gradients.map((value, i) => {
      const gradient = value ? gradients[next++]! : undefined;
      return () => gradient ?? tf.zerosLike(inputs[i]!);
    });
  }

  /** What the forward function takes. */
  #idsOf(inputs: readonly tf.Tensor[]): number[] {
    return [...inputs.map(tensorId), ...this.#captured.map(idOf)];
  }

  #call({ name }: Defined, ids: number[], outputs: readonly Value[]): tf.Tensor[] {
    return this.#binding.callFunction(name, this.#attrs, ids, outputs, this.#device).map(tensorOf);
  }

  #refuseQueue(): void {
    if (!this.#usesQueue) return;
    throw new NativeError(
      'Cannot call a compiled function that uses a queue: nobody serves the other end of the queue; use runWhile()',
      9,
    );
  }
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
    9,
  );
}

function notDifferentiable(result: tf.Tensor): tf.Tensor {
  const gradFunc = (): never => {
    throw new NativeError(
      'Cannot differentiate another result of a compiled function than its first; return the one to be differentiated first',
      12,
    );
  };
  return tf.customGrad((x) => ({ value: (x as tf.Tensor).clone(), gradFunc }))(result);
}

/** Turns nodes into a function of the context. */
function define(graph: Graph, nodes: readonly Node[], inputs: readonly Value[], outputs: readonly Value[]): Defined {
  const { library, address, status } = openContext();
  const { c } = library;
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
  check(c, status, 'compile a function');
  c.TFE_ContextAddFunction(address, fn, status);
  try {
    check(c, status, 'compile a function');
  } catch (error) {
    c.TF_DeleteFunction(fn);
    throw error;
  }
  return { name: c.TF_FunctionName(fn), fn };
}
