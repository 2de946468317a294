/**
 * A graph that records: while it stands in the place of a thread's binding, the ops that tfjs's kernels run become nodes
 * of a TensorFlow graph. Nothing is computed.
 */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import { isForHost } from '../binding/host.js';
import { graphAttributes, type OpAttr, setAttr } from '../c/attributes.js';
import type { Context } from '../c/context.js';
import type { Library } from '../c/load.js';
import { opDef } from '../c/op-def.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { addConstant, constantKey } from './constants.js';
import { Effects } from './effects.js';
import { keyOf, type Node, outputOf, pack, typeAttr, type Value } from './graph-value.js';
import { recordingBinding } from './recording-binding.js';
import { shapeOf, tellShape } from './shapes.js';

/** Ids of values begin where no binding's ids come to. */
const FIRST_ID = 2 ** 40;

/** Names of nodes and functions are the whole context's, so their numbers are the thread's own. */
let nextId = FIRST_ID;

const graphs = new WeakMap<PinnedBinding, Graph>();

/** The graph that records in the place of a binding, if one does. */
export function recordingGraph(binding: PinnedBinding): Graph | undefined {
  return graphs.get(binding);
}

/** A tensor, whose value may be another one at each call when it is a variable, or a resource by its id. */
export type CapturedSource = { tensor: tf.Tensor } | { id: number };

interface RecordOptions {
  known?: readonly Pick<TensorMetadata, 'shape'>[];
  device?: string;
}

/** A graph while it is recorded. */
export class Graph {
  /** In the order of recording. */
  readonly nodes: Node[] = [];
  /** What is from outside, each with the placeholder that stands for it. */
  readonly captured: { source: CapturedSource; value: Value }[] = [];
  readonly #context: Context;
  readonly #real: PinnedBinding;
  /** Whether it sends or receives by a queue: somebody has to be at its other end while it runs. */
  usesQueue = false;
  /** Whether XLA will compile it. */
  readonly isForXla: boolean;
  readonly #graph: Pointer;
  readonly #values = new Map<number, Value>();
  /** By tfjs's word for a tensor's values. */
  readonly #captures = new WeakMap<object, Value>();
  /** Tensors that were made from values during the recording: they become constants. */
  readonly #constants = new Map<number, Value>();
  /** The small constants by what they hold: sizes, axes and factors come up again and again. */
  readonly #alike = new Map<string, Value>();
  readonly #own: Set<number> = new Set();
  /** A tensor with a higher number was made during the recording. */
  readonly #lastOutside: number;
  readonly #setters: Library;
  #effects = new Effects();

  constructor(context: Context, real: PinnedBinding, isForXla: boolean) {
    this.#context = context;
    this.#real = real;
    this.isForXla = isForXla;
    this.#graph = context.library.c.TF_NewGraph();
    this.#setters = graphAttributes(context.library);
    const marker = tf.scalar(0);
    this.#lastOutside = marker.id;
    marker.dispose();
  }

  get pointer(): Pointer {
    return this.#graph;
  }

  dispose(): void {
    this.#context.library.c.TF_DeleteGraph(this.#graph);
  }

  /** What tfjs's backend takes for its binding. */
  asBinding(): PinnedBinding {
    const binding = recordingBinding(this.#real, {
      isForXla: this.isForXla,
      firstId: FIRST_ID,
      made: (id) => this.#own.add(id),
      valueOf: (id) => this.valueOf(id),
      record: (op, attrs, ids, count) => {
        const inputs = ids.map((id) => this.valueOf(id));
        const types = inputs.map(({ dtype }) => dtype);
        const isAway = this.#real.target.type !== 'CPU' && isForHost(this.#context, op, attrs, types);
        return this.record(op, attrs, inputs, count, isAway ? { device: this.#real.host } : {});
      },
    });
    graphs.set(binding, this);
    return binding;
  }

  /** The id of a tensor in this graph. @param own gives the id that it has outside, and uploads it. */
  resolve(tensor: tf.Tensor, own: (tensor: tf.Tensor) => number): number {
    const seen = this.#captures.get(tensor.dataId);
    if (seen) return seen.id;
    // What kernels make for one another has no number.
    const isOutside = tensor.id !== undefined && tensor.id <= this.#lastOutside;
    const id = own(tensor);
    if (!isOutside) {
      if (id < FIRST_ID) this.#own.add(id); // made of values: it becomes a constant
      return this.valueOf(id).id;
    }
    if (id >= FIRST_ID) throw ofAnotherTrace();
    const { shape, dtype } = this.#real.describe(id);
    const value = this.placeholder(shape, dtype);
    this.captured.push({ source: { tensor }, value });
    this.#captures.set(tensor.dataId, value);
    return value.id;
  }

  /** Nothing from here on waits for what came before: it goes into another function. */
  cut(): void {
    this.#effects = new Effects();
  }

  /** A value that is given when the function is called. */
  placeholder(shape: readonly number[], dtype: number): Value {
    const attrs: OpAttr[] = [{ name: 'dtype', type: AttrType.TYPE, value: dtype }];
    if (dtype !== DataType.RESOURCE) attrs.push({ name: 'shape', type: AttrType.SHAPE, value: [...shape] });
    return this.record('Placeholder', attrs, [], 1)[0]!;
  }

  /** The value of that id: recorded, made during the recording, or from outside. */
  valueOf(id: number): Value {
    const found = this.#values.get(id) ?? this.#constants.get(id);
    if (found) return found;
    if (id >= FIRST_ID) throw ofAnotherTrace();
    const outside = this.captured.find(({ source }) => 'id' in source && source.id === id);
    if (outside) return outside.value;
    if (this.#own.has(id)) {
      const constant = this.#constant(id);
      this.#constants.set(id, constant);
      return constant;
    }
    const { shape, dtype } = this.#real.describe(id);
    const value = { ...this.placeholder(shape, dtype), shape };
    this.captured.push({ source: { id }, value });
    return value;
  }

  /**
   * Adds a node.
   * @param options.known shapes of its results, where TensorFlow does not know them.
   * @param options.device full name of the device that it runs on; by default the one that the thread is pinned to.
   * @throws NativeError with the op's name, when TensorFlow refuses it.
   */
  record(
    op: string,
    attrs: readonly OpAttr[],
    inputs: readonly Value[],
    count: number,
    { known, device = this.#real.device }: RecordOptions = {},
  ): Value[] {
    const { library, status } = this.#context;
    const { c } = library;
    const def = opDef(library, this.#graph, op, status);
    const description = c.TF_NewOperation(this.#graph, op, this.#nameOf(op));
    // TensorFlow would choose by itself for what has no kernel there. What XLA compiles is where the call of it is.
    if (!this.isForXla && op !== 'Placeholder') c.TF_SetDevice(description, device);
    this.#addInputs(description, op, def.inputs, attrs, inputs);
    for (const attr of attrs) setAttr(this.#setters, description, op, attr, status);
    const touched = op === 'Placeholder' ? [] : touchedBy(inputs, def.isStateful);
    for (const before of this.#effects.before(op, touched)) c.TF_AddControlInput(description, before);
    const operation = c.TF_FinishOperation(description, status);
    check(c, status, `trace the op ${op}`, op);
    this.#effects.note(op, touched, operation);
    const node: Node = { operation, op, inputs, isStateful: def.isStateful };
    this.nodes.push(node);
    return Array.from({ length: Math.min(count, c.TF_OperationNumOutputs(operation)) }, (_, index) =>
      this.#valueAt(node, index, known?.[index]?.shape),
    );
  }

  /**
   * Adds a call of a function that the context has, and that touches nothing beside its inputs.
   * @param ids of its inputs; @param outputs what it returns.
   */
  call(
    { name, fn }: { name: string; fn: Pointer },
    attrs: readonly OpAttr[],
    ids: readonly number[],
    outputs: readonly TensorMetadata[],
  ): Value[] {
    const { library, status } = this.#context;
    library.c.TF_GraphCopyFunction(this.#graph, fn, null, status);
    check(library.c, status, 'trace a call of a compiled function');
    const inputs = ids.map((id) => this.valueOf(id));
    const made = this.record(name, attrs, inputs, outputs.length, { known: outputs });
    // TensorFlow gives a function's input the marks of what made it, and an input cannot be compiled by XLA.
    return made.map((value) => this.record('Identity', [typeAttr(value.dtype)], [value], 1)[0]!);
  }

  /** XLA's functions are known by what they are, so their names are the same each time. */
  #nameOf(op: string): string {
    return `${op}_${this.isForXla ? this.nodes.length : nextId++}`;
  }

  #addInputs(
    description: Pointer,
    op: string,
    defs: readonly { countAttr?: string }[],
    attrs: readonly OpAttr[],
    inputs: readonly Value[],
  ): void {
    const { c } = this.#context.library;
    let next = 0;
    const single = defs.filter(({ countAttr }) => countAttr === undefined).length;
    for (const { countAttr } of defs) {
      if (countAttr === undefined) {
        const input = inputs[next++];
        if (!input) throw new NativeError(`Cannot trace the op ${op}: it was given ${inputs.length} inputs`, 3, op);
        c.TF_AddInput(description, outputOf(input));
        continue;
      }
      const attr = attrs.find(({ name }) => name === countAttr)?.value;
      const given = Array.isArray(attr) ? attr.length : typeof attr === 'number' ? attr : inputs.length - single;
      c.TF_AddInputList(description, pack(inputs.slice(next, next + given)), given);
      next += given;
    }
  }

  #valueAt(node: Node, index: number, known?: readonly number[]): Value {
    const { c } = this.#context.library;
    const output = { oper: node.operation, index };
    tellShape(this.#context, this.#graph, node, index, known);
    const dtype = c.TF_OperationOutputType(output);
    const shape = shapeOf(this.#context, this.#graph, output, node.op);
    if (dtype !== DataType.RESOURCE && shape.some((size) => size < 0)) {
      throw new NativeError(
        `Cannot trace the op ${node.op}: the shape of its result depends on values, and a compiled function has fixed shapes`,
        12,
        node.op,
      );
    }
    const value: Value = { id: nextId++, shape, dtype, node, index };
    this.#values.set(value.id, value);
    return value;
  }

  #constant(id: number): Value {
    const key = constantKey(this.#real, id);
    const alike = key === undefined ? undefined : this.#alike.get(key);
    if (alike) return alike;
    const operation = addConstant(this.#context, this.#graph, this.#nameOf('Const'), this.#real, id, {
      device: this.isForXla ? undefined : this.#real.device,
    });
    const node: Node = { operation, op: 'Const', inputs: [], isStateful: false };
    this.nodes.push(node);
    const value = this.#valueAt(node, 0);
    if (key !== undefined) this.#alike.set(key, value);
    return value;
  }
}

function ofAnotherTrace(): NativeError {
  return new NativeError(
    'Cannot use a tensor of another trace: it was made while a compiled function was recorded; return it from that function, or make it an input of this one',
    3,
  );
}

/** What an op reads or changes beside its inputs: variables, or the world. */
function touchedBy(inputs: readonly Value[], isStateful: boolean): string[] {
  const resources = inputs.filter(({ dtype }) => dtype === DataType.RESOURCE).map(keyOf);
  return resources.length > 0 ? resources : isStateful ? ['world'] : [];
}
