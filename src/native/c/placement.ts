/** Where TensorFlow runs the ops of functions, and for which devices it has kernels. */
import { openContext } from './context.js';
import { bytesOfBuffer, Message, messageFrom } from './protobuf.js';
import { check } from './status.js';

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
 * Records the graphs of all functions that TensorFlow prepares from now on, in any thread, with each op's device. This
 * costs memory until the returned function is called, which ends the recording.
 * @returns gives the ops of every function and device, one entry for each node. It throws a NativeError when TensorFlow
 * does not give them.
 */
export function recordPlacement(): () => PlacedOp[] {
  const { library, address, status } = openContext();
  const { c } = library;
  c.TFE_ContextEnableGraphCollection(address);
  return () => {
    try {
      const metadata = messageFrom(c, status, 'read where the ops are', (buffer) =>
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

interface Kernel {
  device: string;
  /** The types that attributes may have. */
  allowed: PlacedOp['types'];
}

const known = new Map<string, readonly Kernel[]>();

/**
 * Whether there is a kernel of that op for that type of device.
 * @param deviceType `GPU`.
 */
export function hasKernel({ op, types }: PlacedOp, deviceType: string): boolean {
  const kernels = known.get(op) ?? kernelsOf(op);
  known.set(op, kernels);
  return kernels.some(
    ({ device, allowed }) =>
      (device === deviceType || device === 'DEFAULT') &&
      Object.entries(allowed).every(([attr, list]) => (types[attr] ?? []).every((type) => list.includes(type))),
  );
}

function kernelsOf(op: string): Kernel[] {
  const { library, status } = openContext();
  const { c } = library;
  const buffer = c.TF_GetRegisteredKernelsForOp(op, status);
  check(c, status, `list the kernels of ${op}`, op);
  const list = new Message(bytesOfBuffer(buffer));
  c.TF_DeleteBuffer(buffer);
  return list
    .messages(1)
    .filter((kernel) => kernel.text(KERNEL.label) === '')
    .map((kernel) => ({ device: kernel.text(KERNEL.device), allowed: typesByAttr(kernel, KERNEL.constraint) }));
}

/** The data types of a message's attributes or constraints: pairs of a name and an `AttrValue`, others are left out. */
function typesByAttr(message: Message, field: number): PlacedOp['types'] {
  const entries = message.messages(field).map((entry) => {
    const values = entry.messages(ENTRY.value).flatMap((value) => [value, ...value.messages(VALUE.list)]);
    return [entry.text(ENTRY.key), values.flatMap((value) => value.numbers(VALUE.type))] as const;
  });
  return Object.fromEntries(entries.filter(([, types]) => types.length > 0));
}
