/** One set of shapes of a compiled function: TensorFlow functions for it and its gradient. */
import { threadId } from 'node:worker_threads';

import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import { currentBinding, tensorId, tensorOf } from '../binding/backend.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import { openContext } from '../c/context.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import type { CompileOptions } from './compile.js';
import { type CapturedSource, Graph } from './graph.js';
import { keyOf, type Node, pack, type Value } from './graph-value.js';
import { record } from './record.js';
import { type RunsWhile, runWhile } from './run-while.js';
import { runOnTape } from './tape.js';

/** A function that TensorFlow's context has. */
interface Defined {
  name: string;
  /** TF_Function, this one's to delete. */
  fn: Pointer;
}

let functions = 0;

/** Which tensors of a call a TensorFlow function takes: the call's inputs, and what the forward function kept. */
interface Source {
  from: 'input' | 'captured' | 'kept' | 'dy';
  index: number;
}

/** One set of shapes of a function. */
export class Trace {
  /** XLA keeps what it compiled, by the function's name, for as long as the process lives. */
  readonly #isForXla: boolean;
  readonly #attrs: OpAttr[];
  /**
   * Where it is called. Its nodes say themselves where they are, and the host is where a function over several devices may
   * begin; but XLA compiles for the device of the call.
   */
  readonly #device: string;
  readonly #forward: Defined;
  readonly #backward: Defined | undefined;
  readonly #results: readonly Value[];
  readonly #isDifferentiated: boolean;
  readonly #captured: readonly CapturedSource[];
  /** What the forward function returns beyond its results. */
  readonly #kept: readonly Value[];
  readonly #backwardSources: readonly Source[];
  /** For each input, when the backward function has it. */
  readonly #gradients: readonly (Value | undefined)[];
  readonly #binding: PinnedBinding;
  readonly #usesQueue: boolean;

  /** @param inputs shapes and data types of the inputs. */
  constructor(
    fn: (...inputs: tf.Tensor[]) => tf.Tensor[],
    inputs: readonly TensorMetadata[],
    isDifferentiated: boolean,
    { mode = 'graph', gradients }: CompileOptions,
  ) {
    this.#binding = currentBinding();
    this.#isForXla = mode === 'xla';
    this.#device = this.#isForXla ? this.#binding.device : this.#binding.host;
    this.#attrs = callAttrs(mode);
    const wanted = inputs.map(({ dtype }, i) => (gradients?.[i] ?? dtype === DataType.FLOAT) && isDifferentiated);
    const graph = new Graph(openContext(), this.#binding, this.#isForXla);
    try {
      const recorded = record(graph, fn, inputs, wanted, isDifferentiated);
      const given = [...recorded.inputs, ...graph.captured.map(({ value }) => value)];
      const forwardNodes = graph.nodes.slice(0, recorded.boundary);
      const backwardNodes = graph.nodes.slice(recorded.boundary);
      const isForward = new Set(forwardNodes);
      const isGiven = new Map(given.map((value, i) => [value.node, i]));
      const kept = new Map<string, Value>();
      const sources: { source: Source; value: Value }[] = [];
      const seen = new Set<string>();
      for (const value of backwardNodes.flatMap((node) => node.inputs)) {
        const name = keyOf(value);
        if (seen.has(name) || value.node.op === 'Const') continue;
        seen.add(name);
        const index = isGiven.get(value.node);
        if (index !== undefined) {
          const isInput = index < inputs.length;
          const source: Source = isInput
            ? { from: 'input', index }
            : { from: 'captured', index: index - inputs.length };
          sources.push({ source, value });
        } else if (value.node === recorded.dy?.node) {
          sources.push({ source: { from: 'dy', index: 0 }, value });
        } else if (isForward.has(value.node)) {
          sources.push({ source: { from: 'kept', index: kept.size }, value });
          kept.set(name, value);
        }
      }
      this.#kept = [...kept.values()];
      this.#results = recorded.results;
      this.#isDifferentiated = isDifferentiated;
      this.#backwardSources = sources.map(({ source }) => source);
      this.#gradients = recorded.gradients;
      const constants = forwardNodes.filter(({ op }) => op === 'Const');
      const outputs = [...recorded.results, ...this.#kept];
      this.#forward = define(graph, bodyOf(forwardNodes), given, outputs);
      const made = recorded.gradients.filter((each) => each !== undefined);
      this.#backward =
        made.length > 0
          ? define(
              graph,
              bodyOf([...constants, ...backwardNodes]),
              sources.map(({ value }) => value),
              made,
            )
          : undefined;
      this.#captured = graph.captured.map(({ source }) => source);
      this.#usesQueue = graph.usesQueue;
    } finally {
      graph.dispose();
    }
  }

  run(inputs: readonly tf.Tensor[]): tf.Tensor[] {
    if (this.#usesQueue) throw nobodyAtQueue();
    const forward = (outputs: readonly Value[]) => this.#call(this.#forward, this.#idsOf(inputs), outputs);
    if (!this.#isDifferentiated) return forward(this.#results); // no tape records
    const out = runOnTape({
      inputs,
      forward: (save) => {
        const all = forward([...this.#results, ...this.#kept]);
        const needed = this.#backwardSources.flatMap(({ from, index }) => (from === 'input' ? [inputs[index]!] : []));
        save([...all.slice(this.#results.length), ...needed]);
        return all.slice(0, this.#results.length);
      },
      backward: ([dy], saved) => this.#differentiate(dy!, saved, inputs),
    });
    // Only the first result has a gradient; who asks for another one's is told.
    return out.map((each, i) => (i === 0 ? each : forReading(each)));
  }

  /** As `run`, off the tape, while `work` runs in this thread. */
  runWhile(by: RunsWhile, work: () => void, inputs: readonly tf.Tensor[]): tf.Tensor[] {
    const ids = this.#idsOf(inputs);
    const start = () => this.#binding.callFunction(this.#forward.name, this.#attrs, ids, this.#results, this.#device);
    return runWhile(by, start, work).map(tensorOf);
  }

  /** Puts a call of it into a graph that is recorded; nothing differentiates it there. */
  callIn(graph: Graph, inputs: readonly tf.Tensor[]): tf.Tensor[] {
    if (this.#usesQueue) throw nobodyAtQueue();
    return graph.call(this.#forward, this.#attrs, this.#idsOf(inputs), this.#results).map(tensorOf);
  }

  dispose(): void {
    const { library, address, status } = openContext();
    const defined = [this.#forward, this.#backward].filter((each) => each !== undefined);
    for (const { fn } of defined) library.c.TF_DeleteFunction(fn);
    // Another thread may have the same one, and the next that is compiled finds what XLA made of it.
    if (this.#isForXla) return;
    for (const { name } of defined) library.c.TFE_ContextRemoveFunction(address, name, status);
    check(library.c, status, 'free a compiled function');
  }

  #differentiate(dy: tf.Tensor, saved: readonly tf.Tensor[], inputs: readonly tf.Tensor[]): (() => tf.Tensor)[] {
    let gradients: tf.Tensor[] = [];
    if (this.#backward !== undefined) {
      let input = this.#kept.length;
      const ids = this.#backwardSources.map(({ from, index }) => {
        if (from === 'dy') return tensorId(dy);
        if (from === 'kept') return tensorId(saved[index]!);
        return from === 'captured' ? idOf(this.#captured[index]!) : tensorId(saved[input++]!);
      });
      const made = this.#gradients.filter((each) => each !== undefined);
      gradients = this.#call(this.#backward, ids, made);
      // The tape would keep them until all gradients are made.
      tf.dispose(saved.slice(0, this.#kept.length));
    }
    let next = 0;
    return this.#gradients.map((has, i) => {
      const gradient = has ? gradients[next++]! : undefined;
      return () => gradient ?? tf.zerosLike(inputs[i]!);
    });
  }

  /** Of what the forward function takes. */
  #idsOf(inputs: readonly tf.Tensor[]): number[] {
    return [...inputs.map(tensorId), ...this.#captured.map(idOf)];
  }

  #call({ name }: Defined, ids: number[], outputs: readonly Value[]): tf.Tensor[] {
    return this.#binding.callFunction(name, this.#attrs, ids, outputs, this.#device).map(tensorOf);
  }
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

/** A result that cannot be differentiated. */
function forReading(result: tf.Tensor): tf.Tensor {
  const gradFunc = (): never => {
    throw new NativeError(
      'Cannot differentiate another result of a compiled function than its first; return the one to be differentiated first',
      12,
    );
  };
  return tf.customGrad((x) => ({ value: (x as tf.Tensor).clone(), gradFunc }))(result);
}

function nobodyAtQueue(): NativeError {
  return new NativeError(
    'Cannot call a compiled function alone that uses a queue: nobody would be at its other end; call it by runWhile()',
    9,
  );
}

/** Placeholders are no part of a function's body. */
function bodyOf(nodes: readonly Node[]): Node[] {
  return nodes.filter(({ op }) => op !== 'Placeholder');
}

/** Makes a function of the context out of nodes. */
function define(graph: Graph, body: readonly Node[], inputs: readonly Value[], outputs: readonly Value[]): Defined {
  const { library, address, status } = openContext();
  const { c } = library;
  const { isForXla } = graph;
  // Names are the process's, and a thread's number is never given again. XLA's are completed by a hash of the function.
  const prefix = isForXla ? 'alexnet_split_xla' : `alexnet_split_${threadId}_${functions++}`;
  const operations = BigUint64Array.from(body, ({ operation }) => operation);
  // What changes something outside, such as a variable, runs though no output needs it.
  const controls = BigUint64Array.from(
    body.filter(({ isStateful }) => isStateful),
    ({ operation }) => operation,
  );
  const fn = c.TF_GraphToFunctionWithControlOutputs(
    graph.pointer,
    prefix,
    isForXla ? 1 : 0,
    operations.length,
    operations,
    inputs.length,
    pack(inputs),
    outputs.length,
    pack(outputs),
    null,
    controls.length,
    controls,
    null,
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

function callAttrs(mode: NonNullable<CompileOptions['mode']>): OpAttr[] {
  if (mode === 'xla') return [{ name: '_XlaMustCompile', type: AttrType.BOOL, value: true }];
  return [];
}
