/** String tensors: TensorFlow keeps each element as a `TF_TString` of 24 bytes (`tensorflow/c/tf_tstring.h`). */
import { NativeError } from '../../errors.js';
import type { OpAttr } from './attributes.js';
import type { Context } from './context.js';
import { allocateTensor } from './handles.js';
import type { Library } from './load.js';
import { AttrType, DataType, type Pointer } from './signatures.js';
import { check } from './status.js';
import { volume } from './values.js';

const TSTRING_BYTES = 24;

type Execute = (op: string, inputs: Pointer[], attrs: OpAttr[]) => BigUint64Array;

/**
 * A handle to a new string tensor; the caller's.
 *
 * TensorFlow does not free the elements of a tensor that was allocated from outside when a handle outlives it, and other
 * tensors may share its memory for as long as they live. So the elements are copied by an op into a tensor of
 * TensorFlow's own, and the ones made here are freed at once.
 * @throws NativeError (INVALID_ARGUMENT) when there are not as many values as the shape has.
 */
export function stringTensor(
  context: Context,
  shape: number[],
  values: readonly Uint8Array[],
  execute: Execute,
): Pointer {
  const { library, status } = context;
  const { c } = library;
  const count = volume(shape);
  if (values.length !== count) {
    throw new NativeError(`Cannot make a string tensor of shape [${shape}]: ${values.length} strings were given`, 3);
  }
  const tensor = allocateTensor(library, DataType.STRING, shape, count * TSTRING_BYTES);
  const elements = values.map((_, i) => c.TF_TensorData(tensor) + BigInt(i * TSTRING_BYTES));
  elements.forEach((element, i) => {
    const bytes = Buffer.from(values[i]!);
    c.TF_StringInit(element);
    c.TF_StringCopy(element, bytes, bytes.length);
  });
  try {
    const handle = c.TFE_NewTensorHandle(tensor, status);
    check(c, status, `make a string tensor of shape [${shape}]`);
    try {
      const attrs = [
        { name: 'N', type: AttrType.INT, value: 1 },
        { name: 'separator', type: AttrType.STRING, value: '' },
      ];
      return execute('StringJoin', [handle], attrs)[0]!;
    } finally {
      c.TFE_DeleteTensorHandle(handle);
    }
  } finally {
    for (const element of elements) c.TF_StringDealloc(element);
    c.TF_DeleteTensor(tensor);
  }
}

/** Copies of `count` strings from `data`, which stays TensorFlow's. */
export function readStrings({ c, libc }: Library, data: Pointer, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const element = data + BigInt(i * TSTRING_BYTES);
    const copy = new Uint8Array(c.TF_StringGetSize(element));
    if (copy.length > 0) libc.memcpy(copy, c.TF_StringGetDataPointer(element), copy.length);
    return copy;
  });
}
