/** What stays on the host, whatever the device. */
import type { OpAttr } from '../c/attributes.js';
import type { Context } from '../c/context.js';
import { opDef } from '../c/op-def.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';

/**
 * Ops without strings whose only kernels are for the host: those that count to find the size of their result, and those
 * that write logs.
 */
const HOST_OPS = /^UniqueV2$|^UniqueWithCountsV2$|SummaryWriter$|^Print$/;

/** Types that stay in host memory: TensorFlow expects shapes, axes and the like there, with a GPU too. */
export const HOST_TYPES: ReadonlySet<number> = new Set([
  DataType.INT32,
  DataType.INT64,
  DataType.STRING,
  DataType.RESOURCE,
]);

let emptyGraph: Pointer | undefined;

/**
 * Whether an op runs on the host when the pinned device is a GPU: an op with strings (image codecs, summaries, text), for
 * which TensorFlow has no other kernel, and a few more. Every other op runs on the pinned device or fails.
 * @param inputTypes data types of its inputs.
 * @throws NativeError for an op that TensorFlow does not have.
 */
export function isForHost(
  { library, status }: Context,
  op: string,
  attrs: readonly OpAttr[],
  inputTypes: readonly number[],
): boolean {
  if (HOST_OPS.test(op) || inputTypes.includes(DataType.STRING)) return true;
  if (attrs.some(({ type, value }) => type === AttrType.TYPE && [value].flat().includes(DataType.STRING))) return true;
  emptyGraph ??= library.c.TF_NewGraph(); // TensorFlow describes ops only to a graph
  return opDef(library, emptyGraph, op, status).hasStrings;
}
