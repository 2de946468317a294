/** Runs an op or a function by TensorFlow's eager runtime, and decides which ops run on the host. */
import { NativeError } from '../../errors.js';
import { type OpAttr, setAttr } from '../c/attributes.js';
import type { Context } from '../c/context.js';
import { opDef } from '../c/ops.js';
import { AttrType, DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { callAsync } from '../install/koffi.js';

export interface Call {
  name: string;
  /** TFE_TensorHandles: a list for an op; for a function, whose types TensorFlow does not infer from them, a C array. */
  inputs: readonly Pointer[] | BigUint64Array;
  attrs: readonly OpAttr[];
  /** The largest number of results. */
  count: number;
  device: string;
  cancellation: Pointer | undefined;
}

/** Runs an op, or calls a function of the context. @returns TFE_TensorHandles, the caller's to delete. */
export function execute(context: Context, call: Call): BigUint64Array {
  const { c, status } = context;
  const { name, count } = call;
  const op = prepareOp(context, call);
  try {
    const outputs = new BigUint64Array(Math.max(1, count));
    const made = Int32Array.of(count);
    c.TFE_Execute(op, outputs, made, status);
    check(context, `run the op ${name}`, name);
    return outputs.subarray(0, made[0]);
  } finally {
    c.TFE_DeleteOp(op);
  }
}

/** As {@link execute}, in a thread of libuv's. @param context with a status that nothing else uses meanwhile. */
export async function executeAsync(context: Context, call: Call): Promise<BigUint64Array> {
  const { c, status } = context;
  const { name, count } = call;
  const op = prepareOp(context, call);
  try {
    const outputs = new BigUint64Array(Math.max(1, count));
    const made = Int32Array.of(count);
    await callAsync(c.TFE_Execute, op, outputs, made, status);
    check(context, `run the op ${name}`, name);
    return outputs.subarray(0, made[0]);
  } finally {
    c.TFE_DeleteOp(op);
  }
}

/** An op with its device, inputs and attributes, the caller's to delete. */
function prepareOp(context: Context, { name, inputs, attrs, device, cancellation }: Call): Pointer {
  const { c, status, address } = context;
  const op = c.TFE_NewOp(address, name, status);
  check(context, `find the op ${name}`, name);
  try {
    c.TFE_OpSetDevice(op, device, status);
    check(context, `place the op ${name} on ${device}`, name);
    if (inputs instanceof BigUint64Array) {
      c.TFE_OpAddInputList(op, inputs, inputs.length, status);
      check(context, `give the function ${name} its inputs`, name);
    } else {
      for (const input of inputs) {
        c.TFE_OpAddInput(op, input, status);
        check(context, `give the op ${name} its inputs`, name);
      }
    }
    for (const attr of attrs) setAttr(context, op, name, attr);
    if (cancellation !== undefined) {
      c.TFE_OpSetCancellationManager(op, cancellation, status);
      check(context, `let the op ${name} be cancelled`, name);
    }
    return op;
  } catch (error) {
    c.TFE_DeleteOp(op);
    throw error;
  }
}

/**
 * Whether `action` throws no NativeError. Its ops run one after another in this thread: if the thread's ops normally run
 * in another one, an error would come late there, and would stay for all ops that follow.
 */
export function succeeds(context: Context, action: () => void): boolean {
  const { c } = context;
  const own = c.TFE_NewExecutor(false, false, 0);
  try {
    inExecutor(context, own, action);
    return true;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return false;
  } finally {
    c.TFE_DeleteExecutor(own);
  }
}

/** Ops without strings whose only kernels are for the host. */
const HOST_OPS = /^UniqueV2$|^UniqueWithCountsV2$|SummaryWriter$|^Print$/;

/** Types that stay in host memory: TensorFlow expects shapes, axes and the like there, with a GPU too. */
export const HOST_TYPES = new Set<number>([DataType.INT32, DataType.INT64, DataType.STRING, DataType.RESOURCE]);

let emptyGraph: Pointer | undefined;

/**
 * Whether an op runs on the host when the pinned device is a GPU: an op with strings (image codecs, summaries, text), for
 * which TensorFlow has no other kernel, and a few more. Every other op runs on the pinned device or fails.
 */
export function isForHost(
  context: Context,
  op: string,
  attrs: readonly OpAttr[],
  inputTypes: readonly number[],
): boolean {
  if (HOST_OPS.test(op) || inputTypes.includes(DataType.STRING)) return true;
  if (attrs.some(({ type, value }) => type === AttrType.TYPE && [value].flat().includes(DataType.STRING))) return true;
  emptyGraph ??= context.c.TF_NewGraph(); // TensorFlow describes ops only to a graph
  return opDef(context, emptyGraph, op).hasStrings;
}

/** Runs the ops that `action` calls in an executor: a queue of TensorFlow's, in this thread or in one of its own. */
export function inExecutor<T>({ c, address }: Context, executor: Pointer, action: () => T): T {
  const before = c.TFE_ContextGetExecutorForThread(address);
  c.TFE_ContextSetExecutorForThread(address, executor);
  try {
    return action();
  } finally {
    c.TFE_ContextSetExecutorForThread(address, before);
    c.TFE_DeleteExecutor(before); // the handle, not the executor
  }
}
