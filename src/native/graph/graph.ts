/**
 * A TensorFlow graph that records. While it stands in for a thread's binding, tfjs's kernels compute nothing: each op that
 * they run becomes a node of the graph, and the ids of tensors are those of {@link Value}s.
 */
import tf = require('@tensorflow/tfjs');

import { NativeError } from '../../errors.js';
import type { PinnedBinding, TensorMetadata } from '../binding/binding.js';
import { isForHost } from '../binding/execute.js';
import { attr, graphAttributes, type OpAttr, setAttr } from '../c/attributes.js';
import type { Context } from '../c/context.js';
import { opDef } from '../c/ops.js';
import { DataType, type GraphOutput, type Pointer } from '../c/signatures.js';
import { type Calls, Code, check } from '../c/status.js';
import { bytesPerElement, volume } from '../c/tensors.js';
import { addInputs, type Node, ofAnotherTrace, resourcesOf, SideEffects, type Value } from './node.js';
import { scopePrefix } from './scope.js';

/** Ids of values start here; no binding has as many tensors. */
const FIRST_ID = 2 ** 40;
/** Constants up to this size exist once in a graph: sizes, axes and factors occur again and again. */
const SMALL_BYTES = 64;

/** Unique in the thread, because names of nodes must be unique in TensorFlow's context. */
let nextId = FIRST_ID;

const graphs = new WeakMap<PinnedBinding, Graph>();

/** The graph that stands in for a binding, if one does. */
export function recordingGraph(binding: PinnedBinding): Graph | undefined {
  return graphs.get(binding);
}

/** What a function uses from outside: a tensor (a variable's value differs from call to call), or a resource's id. */
export type CapturedSource = { tensor: tf.Tensor } | { id: number };

interface NodeOptions {
  /** Shapes of its results, if TensorFlow does not know them. */
  shapes?: readonly (readonly number[])[];
  /** Full name of the device that it runs on; default the one that the thread is pinned to. */
  device?: string;
  /** The TF_Tensor of a constant. */
  value?: Pointer;
}

export class Graph {
  readonly nodes: Node[] = [];
  /** What is used from outside, and the placeholder for it. */
  readonly captured: { source: CapturedSource; value: Value }[] = [];
  /** Whether it sends to or receives from a queue, so that it can only run while somebody serves the other end. */
  usesQueue = false;
  readonly pointer: Pointer;
  readonly isForXla: boolean;
  readonly #context: Context;
  readonly #real: PinnedBinding;
  readonly #setters: Calls;
  /** Recorded values by their id, and constants and captured resources by their id in the real binding. */
  readonly #values = new Map<number, Value>();
  /** Captured tensors by tfjs's `dataId`. */
  readonly #captures = new WeakMap<object, Value>();
  readonly #smallConstants = new Map<string, Value>();
  /** Ids, in the real binding, of tensors that were made from values during the recording: they become constants. */
  readonly #made = new Set<number>();
  /** Tensors with a higher number were made during the recording. */
  readonly #lastOutside: number;
  #effects = new SideEffects();

  constructor(context: Context, real: PinnedBinding, isForXla: boolean) {
    this.#context = context;
    this.#real = real;
    this.isForXla = isForXla;
    this.pointer = context.c.TF_NewGraph();
    this.#setters = graphAttributes(context);
    const marker = tf.scalar(0);
    this.#lastOutside = marker.id;
    marker.dispose();
  }

  dispose(): void {
    this.#context.c.TF_DeleteGraph(this.pointer);
  }

  /** A binding that records into this graph, and refuses to read values. */
  asBinding(): PinnedBinding {
    const real = this.#real;
    const refuse = (): never => {
      throw new NativeError(
        "Cannot read a tensor's values in a compiled function: it is traced, not run; read the function's results, or make the value an argument",
        Code.FAILED_PRECONDITION,
      );
    };
    const binding = {
      ...real,
      device: real.device,
      isRecording: true,
      isUsingGpuDevice: () => real.isUsingGpuDevice(),
      // Abilities are internal ops of TensorFlow, which XLA does not have.
      can: (...ability: Parameters<PinnedBinding['can']>) => !this.isForXla && real.can(...ability),
      getNumOfTensors: () => real.getNumOfTensors(),
      createTensor: (...tensor: Parameters<PinnedBinding['createTensor']>) => {
        const id = real.createTensor(...tensor);
        this.#made.add(id);
        return id;
      },
      deleteTensor: (id: number) => {
        if (id < FIRST_ID) real.deleteTensor(id);
      },
      describe: (id: number) => (id < FIRST_ID ? real.describe(id) : this.valueOf(id)),
      executeOp: (op: string, attrs: OpAttr[], ids: number[], count: number) => {
        const inputs = ids.map((id) => this.valueOf(id));
        const types = inputs.map(({ dtype }) => dtype);
        const isOnHost = real.target.type !== 'CPU' && isForHost(this.#context, op, attrs, types);
        return this.record(op, attrs, inputs, count, isOnHost ? { device: real.host } : {});
      },
      ...{ tensorDataSync: refuse, copyTo: refuse, handle: refuse, adopt: refuse },
      ...{ backingDevice: refuse, noteShape: refuse },
    } as unknown as PinnedBinding;
    graphs.set(binding, this);
    return binding;
  }

  /** The id of a tensor in this graph. @param own returns its id in the real binding, and uploads it if necessary. */
  resolve(tensor: tf.Tensor, own: (tensor: tf.Tensor) => number): number {
    const seen = this.#captures.get(tensor.dataId);
    if (seen) return seen.id;
    // What kernels make for one another has no number.
    const isOutside = tensor.id !== undefined && tensor.id <= this.#lastOutside;
    const id = own(tensor);
    if (!isOutside) {
      if (id < FIRST_ID) this.#made.add(id);
      return this.valueOf(id).id;
    }
    if (id >= FIRST_ID) throw ofAnotherTrace();
    const { shape, dtype } = this.#real.describe(id);
    const value = this.placeholder(shape, dtype);
    this.captured.push({ source: { tensor }, value });
    this.#captures.set(tensor.dataId, value);
    return value.id;
  }

  /** The value of an id: recorded, made during the recording, or from outside. */
  valueOf(id: number): Value {
    const known = this.#values.get(id);
    if (known) return known;
    if (id >= FIRST_ID) throw ofAnotherTrace();
    let value: Value;
    if (this.#made.has(id)) {
      value = this.#constant(id);
    } else {
      const { shape, dtype } = this.#real.describe(id);
      value = { ...this.placeholder(shape, dtype), shape };
      this.captured.push({ source: { id }, value });
    }
    this.#values.set(id, value);
    return value;
  }

  /** Starts another function: its side effects do not wait for those before it. */
  startFunction(): void {
    this.#effects = new SideEffects();
  }

  /** A value that is passed when the function is called. */
  placeholder(shape: readonly number[], dtype: number): Value {
    const attrs = [attr.type('dtype', dtype)];
    if (dtype !== DataType.RESOURCE) attrs.push(attr.shape('shape', [...shape]));
    return this.record('Placeholder', attrs, [], 1)[0]!;
  }

  /** Adds a node. @throws NativeError with the op's name if TensorFlow refuses it. */
  record(
    op: string,
    attrs: readonly OpAttr[],
    inputs: readonly Value[],
    count: number,
    { shapes, device = this.#real.device, value }: NodeOptions = {},
  ): Value[] {
    const { c, status } = this.#context;
    const def = opDef(this.#context, this.pointer, op);
    const description = c.TF_NewOperation(this.pointer, op, this.#nameOf(op));
    // Without a device, TensorFlow places a node by itself. XLA's nodes run where their function is called.
    if (!this.isForXla && op !== 'Placeholder') c.TF_SetDevice(description, device);
    addInputs(c, description, def, op, attrs, inputs);
    for (const each of attrs) setAttr(this.#setters, description, op, each);
    if (value !== undefined) {
      c.TF_SetAttrTensor(description, 'value', value, status);
      check(this.#context, `trace the op ${op}`, op);
    }
    const resources = op === 'Placeholder' ? [] : resourcesOf(inputs, def.isStateful);
    for (const before of this.#effects.before(op, resources)) c.TF_AddControlInput(description, before);
    const operation = c.TF_FinishOperation(description, status);
    check(this.#context, `trace the op ${op}`, op);
    this.#effects.note(op, resources, operation);
    const node: Node = { operation, op, inputs, isStateful: def.isStateful };
    this.nodes.push(node);
    return Array.from({ length: Math.min(count, c.TF_OperationNumOutputs(operation)) }, (_, index) =>
      this.#outputOf(node, index, shapes?.[index]),
    );
  }

  copy(value: Value): Value {
    return this.record('Identity', [attr.type('T', value.dtype)], [value], 1)[0]!;
  }

  /** Adds a call of another function, which has no side effects. @param outputs what it returns. */
  call(
    { name, fn }: { name: string; fn: Pointer },
    attrs: readonly OpAttr[],
    ids: readonly number[],
    outputs: readonly TensorMetadata[],
  ): Value[] {
    const { c, status } = this.#context;
    c.TF_GraphCopyFunction(this.pointer, fn, null, status);
    check(this.#context, 'trace a call of a compiled function');
    const inputs = ids.map((id) => this.valueOf(id));
    const shapes = outputs.map(({ shape }) => shape);
    const results = this.record(name, attrs, inputs, outputs.length, { shapes });
    // If a result becomes another function's input, TensorFlow copies these attributes to it, and XLA rejects that.
    return results.map((value) => this.copy(value));
  }

  /** XLA knows functions by their content, so names for it must not differ from trace to trace. */
  #nameOf(op: string): string {
    return this.isForXla ? `${op}_${this.nodes.length}` : `${scopePrefix()}${op}_${nextId++}`;
  }

  /** A node's output as a value. @param shape if TensorFlow does not know it. */
  #outputOf(node: Node, index: number, shape = this.#unknownShape(node, index)): Value {
    const { c, status } = this.#context;
    const output = { oper: node.operation, index };
    if (shape) {
      c.TF_GraphSetTensorShape(this.pointer, output, BigInt64Array.from(shape, BigInt), shape.length, status);
      check(this.#context, `trace the op ${node.op}`, node.op);
    }
    const dtype = c.TF_OperationOutputType(output);
    const value: Value = { id: nextId++, shape: this.#shapeOf(output, node.op), dtype, node, index };
    if (dtype !== DataType.RESOURCE && value.shape.some((size) => size < 0)) {
      throw new NativeError(
        `Cannot trace the op ${node.op}: the shape of its result depends on values, and a compiled function has fixed shapes`,
        Code.UNIMPLEMENTED,
        node.op,
      );
    }
    this.#values.set(value.id, value);
    return value;
  }

  /** The shape of an output that is fixed though TensorFlow does not know it. */
  #unknownShape({ op, inputs, operation }: Node, index: number): readonly number[] | undefined {
    if (op === 'ReadVariableOp') return inputs[0]!.shape;
    if (op !== '_MklNativeMaxPool' || index !== 1) return undefined;
    return [volume(this.#shapeOf({ oper: operation, index: 0 }, op))]; // a byte for each maximum
  }

  /** The shape that TensorFlow has: -1 for an unknown size, [-1] for an unknown rank. */
  #shapeOf(output: GraphOutput, op: string): number[] {
    const { c, status } = this.#context;
    const rank = c.TF_GraphGetTensorNumDims(this.pointer, output, status);
    check(this.#context, `trace the op ${op}`, op);
    if (rank < 0) return [-1];
    const dims = new BigInt64Array(rank);
    if (rank > 0) c.TF_GraphGetTensorShape(this.pointer, output, dims, rank, status);
    check(this.#context, `trace the op ${op}`, op);
    return Array.from(dims, Number);
  }

  #constant(id: number): Value {
    const { shape, dtype } = this.#real.describe(id);
    const isSmall = dtype !== DataType.STRING && volume(shape) * bytesPerElement(dtype) <= SMALL_BYTES;
    let key = '';
    if (isSmall) {
      const { buffer, byteOffset, byteLength } = this.#real.tensorDataSync(id) as Uint8Array;
      key = `${dtype} [${shape}] ${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`;
    }
    const value = this.#smallConstants.get(key) ?? this.#newConstant(id, dtype);
    if (isSmall) this.#smallConstants.set(key, value);
    return value;
  }

  #newConstant(id: number, dtype: number): Value {
    const { c, status } = this.#context;
    const value = c.TFE_TensorHandleResolve(this.#real.handle(id), status);
    check(this.#context, 'trace a constant');
    try {
      const device = dtype === DataType.STRING ? this.#real.host : this.#real.device;
      return this.record('Const', [attr.type('dtype', dtype)], [], 1, { device, value })[0]!;
    } finally {
      c.TF_DeleteTensor(value);
    }
  }
}
