/** How values lie in a tensor's memory: typed arrays of JavaScript against TensorFlow's data types. */
import { NativeError } from '../../errors.js';
import { DataType } from './signatures.js';

/** Values of a tensor as tfjs hands them over or takes them back. */
export type Values = Float32Array | Int32Array | Uint8Array | BigInt64Array | Uint8Array[];

/** @throws NativeError when a tensor of that type cannot be made out of bytes. */
export function bytesPerElement(dtype: number): number {
  switch (dtype) {
    case DataType.BOOL:
    case DataType.UINT8:
      return 1;
    case DataType.HALF:
      return 2;
    case DataType.FLOAT:
    case DataType.INT32:
      return 4;
    case DataType.INT64:
    case DataType.COMPLEX64:
    case DataType.DOUBLE:
      return 8;
    default:
      throw new NativeError(`Cannot make a tensor of the TensorFlow data type ${dtype}: it is not supported here`, 12);
  }
}

/**
 * The values as the typed array whose bytes TensorFlow takes; arrays that are so already are not copied.
 * @throws NativeError when there is no telling which bytes are meant.
 */
export function typedValues(dtype: number, values: unknown): ArrayBufferView {
  if (dtype === DataType.FLOAT || dtype === DataType.COMPLEX64) {
    return values instanceof Float32Array ? values : Float32Array.from(values as ArrayLike<number>);
  }
  if (dtype === DataType.INT32) return values instanceof Int32Array ? values : Int32Array.from(values as number[]);
  if (dtype === DataType.BOOL || dtype === DataType.UINT8) {
    const bytes = values instanceof Uint8Array ? values : Uint8Array.from(values as number[]);
    // TensorFlow takes a bool's byte for 0 or 1: not(2) would be 3.
    return dtype === DataType.BOOL && bytes.some((byte) => byte > 1) ? bytes.map(Math.sign) : bytes;
  }
  if (ArrayBuffer.isView(values)) return values;
  throw new NativeError(
    `Cannot make a tensor of the TensorFlow data type ${dtype}: expected a typed array of its bytes`,
    3,
  );
}

/** A new array for so many bytes of a data type. */
export function newValues(dtype: number, bytes: number): Exclude<Values, Uint8Array[]> {
  switch (dtype) {
    case DataType.FLOAT:
    case DataType.COMPLEX64:
      return new Float32Array(bytes / 4);
    case DataType.INT32:
      return new Int32Array(bytes / 4);
    case DataType.INT64:
      return new BigInt64Array(bytes / 8);
    default:
      return new Uint8Array(bytes); // bool, uint8, and the raw bytes of what JavaScript has no array for
  }
}

/** Number of elements of a tensor of that shape. */
export function volume(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
