/** What stays on the host, whatever the device. */
import type { OpAttr } from '../c/attributes.js';
import type { Context } from '../c/context.js';
import { opDef } from '../c/op-def.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';

/**
 * Ops without strings that TensorFlow has for the host alone and that are meant for it: a result whose size is found by
 * counting, and what writes a log.
 */
const HOST_OPS = /^UniqueV2$|^UniqueWithCountsV2$|SummaryWriter$|^Print$/;

/** int32 and strings stay in host memory: TensorFlow wants shapes, axes and the like there on a GPU too. */
export const HOST_TYPES: ReadonlySet<number> = new Set([
  DataType.INT32,
  DataType.INT64,
  DataType.STRING,
  DataType.RESOURCE,
]);

/**
 * Whether an op runs on the host though the device is another: one that takes or makes strings (image codecs, summaries,
 * text), for which TensorFlow has no kernel elsewhere, and a few more. Every other op runs on the pinned device or fails,
 * never elsewhere in silence.
 * @param inputTypes data types of its inputs.
 * @throws NativeError for an op that TensorFlow does not have.
 */
export function isForHost(
  context: Context,
  op: string,
  attrs: readonly OpAttr[],
  inputTypes: readonly number[],
): boolean {
  if (HOST_OPS.test(op) || inputTypes.includes(DataType.STRING)) return true;
  if (attrs.some(({ type, value }) => type === AttrType.TYPE && [value].flat().includes(DataType.STRING))) return true;
  return opDef(context.library, emptyGraph(context), op, context.status).hasStrings;
}

/** To ask for ops' descriptions. */
let empty: Pointer | undefined;

function emptyGraph({ library }: Context): Pointer {
  empty ??= library.c.TF_NewGraph();
  return empty;
}
