/**
 * What TensorFlow knows about its ops: their inputs (`tensorflow/core/framework/op_def.proto`), for which devices there are
 * kernels, and where it runs the ops of functions.
 */
import { openContext } from './context.js';
import { bytesOfBuffer, Message, messageFrom } from './protobuf.js';
import { DataType, type Pointer } from './signatures.js';
import { type Calls, check } from './status.js';

export interface OpDef {
  /** For each input the attribute with the number of its tensors, or with their types; undefined for a single tensor. */
  inputs: readonly (string | undefined)[];
  isStateful: boolean;
  /** Whether an input or output is always of strings, whatever the attributes are. */
  hasStrings: boolean;
}

/** Field numbers of `OpDef` and its `ArgDef`. */
const OP = { input: 2, output: 3, isStateful: 17 } as const;
const ARG = { type: 3, numberAttr: 5, typeListAttr: 6 } as const;

const definitions = new Map<string, OpDef>();

/** @throws NativeError for an op that TensorFlow does not have. */
export function opDef(calls: Calls, graph: Pointer, op: string): OpDef {
  const before = definitions.get(op);
  if (before) return before;
  const get = (buffer: Pointer) => calls.c.TF_GraphGetOpDef(graph, op, buffer, calls.status);
  const message = messageFrom(calls, `find the op ${op}`, get, op);
  const [inputs, outputs] = [message.messages(OP.input), message.messages(OP.output)];
  const def = {
    inputs: inputs.map((arg) => arg.text(ARG.numberAttr) || arg.text(ARG.typeListAttr) || undefined),
    isStateful: message.numbers(OP.isStateful).includes(1),
    hasStrings: [...inputs, ...outputs].some((arg) => arg.numbers(ARG.type).includes(DataType.STRING)),
  };
  definitions.set(op, def);
  return def;
}

/** An op of a function, as TensorFlow placed it. */
export interface PlacedOp {
  op: string;
  /** TensorFlow's full name. */
  device: string;
  /** The data types by the names of their attributes, as in `DataType`. */
  types: Readonly<Record<string, readonly number[]>>;
}

/** Field numbers of `RunMetadata`, `GraphDef`, `NodeDef`, `AttrValue`, `KernelDef`. */
const METADATA = { partitionGraphs: 3 } as const;
const GRAPH = { node: 1 } as const;
const NODE = { op: 2, device: 4, attr: 5 } as const;
const ENTRY = { key: 1, value: 2 } as const;
const VALUE = { list: 1, type: 6 } as const;
const KERNEL = { device: 2, constraint: 3, label: 5 } as const;

/**
 * Records the graphs of all functions that TensorFlow prepares from now on, in any thread, with each op's device.
 * @returns ends the recording, which costs memory, and returns the ops of every function. It may throw a NativeError.
 */
export function recordPlacement(): () => PlacedOp[] {
  const context = openContext();
  const { c, address, status } = context;
  c.TFE_ContextEnableGraphCollection(address);
  return () => {
    try {
      const metadata = messageFrom(context, 'read where the ops are', (buffer) =>
        c.TFE_ContextExportRunMetadata(address, buffer, status),
      );
      return metadata
        .messages(METADATA.partitionGraphs)
        .flatMap((graph) => graph.messages(GRAPH.node))
        .map((node) => ({
          op: node.text(NODE.op),
          device: node.text(NODE.device),
          types: typesByAttr(node, NODE.attr),
        }));
    } finally {
      c.TFE_ContextDisableGraphCollection(address);
    }
  };
}

/** A type of device, and the data types that attributes may have there. */
type Kernel = Omit<PlacedOp, 'op'>;

const kernelLists = new Map<string, readonly Kernel[]>();

/** Whether there is a kernel of that op for that type of device, such as `GPU`. */
export function hasKernel({ op, types }: PlacedOp, deviceType: string): boolean {
  const kernels = kernelLists.get(op) ?? kernelsOf(op);
  kernelLists.set(op, kernels);
  return kernels.some(
    ({ device, types: allowed }) =>
      (device === deviceType || device === 'DEFAULT') &&
      Object.entries(allowed).every(([attr, list]) => (types[attr] ?? []).every((type) => list.includes(type))),
  );
}

function kernelsOf(op: string): Kernel[] {
  const context = openContext();
  const { c } = context;
  const buffer = c.TF_GetRegisteredKernelsForOp(op, context.status);
  check(context, `list the kernels of ${op}`, op);
  const list = new Message(bytesOfBuffer(buffer));
  c.TF_DeleteBuffer(buffer);
  return list
    .messages(1)
    .filter((kernel) => kernel.text(KERNEL.label) === '')
    .map((kernel) => ({ device: kernel.text(KERNEL.device), types: typesByAttr(kernel, KERNEL.constraint) }));
}

/** The data types of a message's attributes or constraints: pairs of a name and an `AttrValue`, others are left out. */
function typesByAttr(message: Message, field: number): PlacedOp['types'] {
  const entries = message.messages(field).map((entry) => {
    const values = entry.messages(ENTRY.value).flatMap((value) => [value, ...value.messages(VALUE.list)]);
    return [entry.text(ENTRY.key), values.flatMap((value) => value.numbers(VALUE.type))] as const;
  });
  return Object.fromEntries(entries.filter(([, types]) => types.length > 0));
}
