/** Which ops TensorFlow runs where, and which it has kernels for. */
import { type Context, openContext } from './context.js';
import { bytesOfBuffer, fieldsOf } from './protobuf.js';
import type { Pointer } from './signatures.js';
import { check } from './status.js';

/** An op as it was placed in a function. */
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
const CONSTRAINT = { name: 1, allowed: 2 } as const;

/**
 * Has TensorFlow keep the graphs that functions are brought to from here on, in whatever thread, with each op's device.
 * Costs memory until the returned function is called, which ends it.
 * @returns gives the ops, those of every function and of each device once for each time that they stand there.
 * @throws NativeError when TensorFlow does not give them.
 */
export function watchPlacement(): () => PlacedOp[] {
  const { library, address, status } = openContext();
  const { c } = library;
  c.TFE_ContextEnableGraphCollection(address);
  return () => {
    const buffer = c.TF_NewBuffer();
    try {
      c.TFE_ContextExportRunMetadata(address, buffer, status);
      check(c, status, 'read where the ops are');
      return lists(bytesOfBuffer(buffer), METADATA.partitionGraphs).flatMap(opsOf);
    } finally {
      c.TFE_ContextDisableGraphCollection(address);
      c.TF_DeleteBuffer(buffer);
    }
  };
}

function opsOf(graph: Uint8Array): PlacedOp[] {
  return lists(graph, GRAPH.node).map((node) => {
    const attrs = lists(node, NODE.attr).map((entry) => {
      const [value] = lists(entry, ENTRY.value);
      return [text(entry, ENTRY.key), value ? typesOf(value) : []] as const;
    });
    return {
      op: text(node, NODE.op),
      device: text(node, NODE.device),
      types: Object.fromEntries(attrs.filter(([, types]) => types.length > 0)),
    };
  });
}

/** A kernel that is registered: for which type of device, and what types it takes. */
interface Kernel {
  device: string;
  allowed: readonly (readonly [attr: string, types: readonly number[]])[];
}

const known = new Map<string, readonly Kernel[]>();

/**
 * Whether there is a kernel of that op for that type of device.
 * @param deviceType `GPU`.
 */
export function hasKernel({ op, types }: PlacedOp, deviceType: string): boolean {
  const kernels = known.get(op) ?? kernelsOf(openContext(), op);
  known.set(op, kernels);
  return kernels.some(
    ({ device, allowed }) =>
      (device === deviceType || device === 'DEFAULT') &&
      allowed.every(([attr, list]) => (types[attr] ?? []).every((type) => list.includes(type))),
  );
}

function kernelsOf({ library, status }: Context, op: string): Kernel[] {
  const { c } = library;
  const buffer: Pointer = c.TF_GetRegisteredKernelsForOp(op, status);
  check(c, status, `list the kernels of ${op}`, op);
  try {
    return lists(bytesOfBuffer(buffer), 1)
      .filter((kernel) => text(kernel, KERNEL.label) === '')
      .map((kernel) => ({
        device: text(kernel, KERNEL.device),
        allowed: lists(kernel, KERNEL.constraint)
          .map((constraint) => {
            const [value] = lists(constraint, CONSTRAINT.allowed);
            return [text(constraint, CONSTRAINT.name), value ? typesOf(value) : []] as const;
          })
          .filter(([, list]) => list.length > 0), // of values that are no types nothing is asked here
      }));
  } finally {
    c.TF_DeleteBuffer(buffer);
  }
}

/** The types in an `AttrValue`: one, or a list of them; none where it is another kind of value. */
function typesOf(value: Uint8Array): number[] {
  const fields = [...fieldsOf(value)];
  const single = fields.find(({ field }) => field === VALUE.type)?.value;
  if (typeof single === 'number') return [single];
  const list = fields.find(({ field }) => field === VALUE.list)?.value;
  if (!(list instanceof Uint8Array)) return [];
  // A repeated number is packed, or stands there again and again.
  return [...fieldsOf(list)]
    .filter(({ field }) => field === VALUE.type)
    .flatMap(({ value: each }) => (typeof each === 'number' ? [each] : [...each]));
}

function lists(bytes: Uint8Array, wanted: number): Uint8Array[] {
  return [...fieldsOf(bytes)].flatMap(({ field, value }) =>
    field === wanted && value instanceof Uint8Array ? [value] : [],
  );
}

function text(bytes: Uint8Array, wanted: number): string {
  return new TextDecoder().decode(lists(bytes, wanted).at(-1));
}
