/** TensorFlow's tensors in host memory, their handles, and how their values lie in memory. */
import { NativeError } from '../../errors.js';
import type { Context } from './context.js';
import { copyOut } from './copy.js';
import { DataType, type Pointer } from './signatures.js';
import { Code, check } from './status.js';

/** Values of a tensor as tfjs hands them over or takes them back. */
export type Values = Float32Array | Int32Array | Uint8Array | BigInt64Array | Uint8Array[];

export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

const BYTES_PER_ELEMENT: Record<number, number> = {
  ...{ [DataType.BOOL]: 1, [DataType.UINT8]: 1, [DataType.HALF]: 2, [DataType.FLOAT]: 4, [DataType.INT32]: 4 },
  ...{ [DataType.INT64]: 8, [DataType.COMPLEX64]: 8, [DataType.DOUBLE]: 8 },
};

/** @throws NativeError for a type whose tensors cannot be made from bytes. */
export function bytesPerElement(dtype: number): number {
  const bytes = BYTES_PER_ELEMENT[dtype];
  if (bytes !== undefined) return bytes;
  const reason = 'it is not supported here';
  throw new NativeError(`Cannot make a tensor of the TensorFlow data type ${dtype}: ${reason}`, Code.UNIMPLEMENTED);
}

const ARRAYS: Record<number, typeof Float32Array | typeof Int32Array | typeof Uint8Array> = {
  ...{ [DataType.FLOAT]: Float32Array, [DataType.COMPLEX64]: Float32Array, [DataType.INT32]: Int32Array },
  ...{ [DataType.UINT8]: Uint8Array, [DataType.BOOL]: Uint8Array },
};

/** The values as the typed array whose bytes TensorFlow takes. An array of the right type is not copied. */
export function typedValues(dtype: number, values: unknown): ArrayBufferView {
  const Typed = ARRAYS[dtype];
  if (Typed) {
    const typed = values instanceof Typed ? values : Typed.from(values as number[]);
    // TensorFlow expects that a bool's byte is 0 or 1: not(2) would be 3.
    return dtype === DataType.BOOL && typed.some((byte) => byte > 1) ? typed.map(Math.sign) : typed;
  }
  if (ArrayBuffer.isView(values)) return values;
  const reason = 'expected a typed array of its bytes';
  throw new NativeError(`Cannot make a tensor of the TensorFlow data type ${dtype}: ${reason}`, Code.INVALID_ARGUMENT);
}

/** A new array for so many bytes of a data type. A type without a JavaScript array gives its raw bytes. */
export function newValues(dtype: number, bytes: number): Exclude<Values, Uint8Array[]> {
  const Typed = dtype === DataType.INT64 ? BigInt64Array : (ARRAYS[dtype] ?? Uint8Array);
  return new Typed(bytes / Typed.BYTES_PER_ELEMENT);
}

/** A TF_Tensor with memory for its values, in host memory; the caller's. @throws NativeError (RESOURCE_EXHAUSTED). */
export function allocateTensor({ c }: Context, dtype: number, shape: readonly number[], bytes: number): Pointer {
  const tensor = c.TF_AllocateTensor(dtype, BigInt64Array.from(shape, BigInt), shape.length, bytes);
  if (bytes === 0 || c.TF_TensorData(tensor)) return tensor; // without memory, the data are at address 0
  c.TF_DeleteTensor(tensor);
  throw new NativeError(
    `Cannot make a tensor of shape [${shape}]: OOM when allocating its ${bytes} bytes in host memory, expected them to be free; free some memory, or make the tensor smaller`,
    Code.RESOURCE_EXHAUSTED,
  );
}

/** A handle of a TF_Tensor, which is deleted: the handle keeps the memory. The handle is the caller's. */
export function handleOf(context: Context, tensor: Pointer, shape: readonly number[]): Pointer {
  const handle = context.c.TFE_NewTensorHandle(tensor, context.status);
  context.c.TF_DeleteTensor(tensor);
  check(context, `make a tensor of shape [${shape}]`);
  return handle;
}

/** The shape of a tensor. Waits for the op that makes it. @throws NativeError if that op failed. */
export function shapeOfHandle(context: Context, handle: Pointer): number[] {
  const { c, status } = context;
  const rank = c.TFE_TensorHandleNumDims(handle, status);
  check(context, 'ask for the shape of a tensor');
  return Array.from({ length: rank }, (_, i) => {
    const size = Number(c.TFE_TensorHandleDim(handle, i, status));
    check(context, 'ask for the shape of a tensor');
    return size;
  });
}

/** A handle of the tensor on `device`, the caller's; `handle` is deleted in any case. */
export function moveHandle(context: Context, handle: Pointer, device: string): Pointer {
  const { c, status, address } = context;
  const moved = c.TFE_TensorHandleCopyToDevice(handle, address, device, status);
  c.TFE_DeleteTensorHandle(handle);
  check(context, `copy a tensor to ${device}`);
  return moved;
}

/** Size of a `TF_TString`, which an element of a string tensor is (`tensorflow/c/tf_tstring.h`). */
const TSTRING_BYTES = 24;

/**
 * A handle to a string tensor. The caller frees it, and not before an op has read it: TensorFlow does not free the elements
 * of a tensor that was allocated from outside when a handle outlives it.
 * @throws NativeError (INVALID_ARGUMENT) if the number of values is not that of the shape.
 */
export function stringTensor(
  context: Context,
  shape: readonly number[],
  values: readonly Uint8Array[],
): { handle: Pointer; free(): void } {
  const { c } = context;
  if (values.length !== volume(shape)) {
    const reason = `${values.length} strings were given`;
    throw new NativeError(`Cannot make a string tensor of shape [${shape}]: ${reason}`, Code.INVALID_ARGUMENT);
  }
  const tensor = allocateTensor(context, DataType.STRING, shape, values.length * TSTRING_BYTES);
  const data = c.TF_TensorData(tensor);
  const elements = values.map((_, i) => data + BigInt(i * TSTRING_BYTES));
  for (const [i, element] of elements.entries()) {
    const { buffer, byteOffset, byteLength } = values[i]!;
    c.TF_StringInit(element);
    c.TF_StringCopy(element, Buffer.from(buffer, byteOffset, byteLength), byteLength);
  }
  const handle = handleOf(context, tensor, shape);
  return {
    handle,
    free() {
      for (const element of elements) c.TF_StringDealloc(element);
      c.TFE_DeleteTensorHandle(handle);
    },
  };
}

/** Calls `use` with a handle to a string tensor, which is freed afterwards: see {@link stringTensor}. */
export function withStrings<T>(
  context: Context,
  shape: readonly number[],
  values: readonly Uint8Array[],
  use: (handle: Pointer) => T,
): T {
  const { handle, free } = stringTensor(context, shape, values);
  try {
    return use(handle);
  } finally {
    free();
  }
}

/** Copies of `count` strings from `data`, which stays TensorFlow's. */
export function readStrings({ c }: Context, data: Pointer, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const element = data + BigInt(i * TSTRING_BYTES);
    const copy = new Uint8Array(c.TF_StringGetSize(element));
    copyOut(copy, c.TF_StringGetDataPointer(element));
    return copy;
  });
}
