/** Sets an op's attributes, of every kind that tfjs-node's kernels send, single values and lists. */
import koffi from 'koffi';
import { NativeError } from '../errors.js';
import type { Library } from './load.js';
import { AttrType, type Pointer } from './signatures.js';
import { check } from './status.js';

/** One attribute: tfjs-node's `TFEOpAttr`. `type` is one of {@link AttrType}. */
export interface OpAttr {
  name: string;
  type: number;
  value: string | number | boolean | object | number[];
}

/** @throws NativeError when the value is not of the attribute's kind. */
export function setAttr(
  { c }: Library,
  op: Pointer,
  opName: string,
  { name, type, value }: OpAttr,
  status: Pointer,
): void {
  const list =
    Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as unknown as unknown[]) : undefined;
  switch (type) {
    case AttrType.STRING: {
      if (list) return setStringList(c, op, name, list as (string | Uint8Array)[]);
      const bytes = Buffer.from(value as string);
      return c.TFE_OpSetAttrString(op, name, bytes, bytes.length);
    }
    case AttrType.INT:
      if (list) return c.TFE_OpSetAttrIntList(op, name, BigInt64Array.from(list as number[], BigInt), list.length);
      return c.TFE_OpSetAttrInt(op, name, value as number);
    case AttrType.FLOAT:
      if (list) return c.TFE_OpSetAttrFloatList(op, name, Float32Array.from(list as number[]), list.length);
      return c.TFE_OpSetAttrFloat(op, name, value as number);
    case AttrType.BOOL:
      if (list) return c.TFE_OpSetAttrBoolList(op, name, Uint8Array.from(list as number[]), list.length);
      return c.TFE_OpSetAttrBool(op, name, value ? 1 : 0);
    case AttrType.TYPE:
      if (list) return c.TFE_OpSetAttrTypeList(op, name, Int32Array.from(list as number[]), list.length);
      return c.TFE_OpSetAttrType(op, name, value as number);
    case AttrType.SHAPE: {
      if (list && list.some(Array.isArray)) setShapeList(c, op, name, list as number[][], status);
      else if (list) c.TFE_OpSetAttrShape(op, name, BigInt64Array.from(list as number[], BigInt), list.length, status);
      else c.TFE_OpSetAttrShape(op, name, null, -1, status); // unknown rank
      return check(c, status, `set the shape ${name} of the op ${opName}`, opName);
    }
    default:
      throw new NativeError(
        `Cannot set ${name} of the op ${opName}: attributes of kind ${type} are not supported`,
        12,
        opName,
      );
  }
}

function setStringList(c: Library['c'], op: Pointer, name: string, values: readonly (string | Uint8Array)[]): void {
  const bytes = values.map((value) => Buffer.from(value as string));
  // koffi has no address for an empty buffer; an empty string's pointer is never followed.
  const addresses = BigUint64Array.from(bytes, (each) => (each.length > 0 ? koffi.address(each) : 0n));
  const sizes = BigUint64Array.from(bytes, (each) => BigInt(each.length));
  c.TFE_OpSetAttrStringList(op, name, addresses, sizes, values.length);
}

function setShapeList(c: Library['c'], op: Pointer, name: string, shapes: readonly number[][], status: Pointer): void {
  const dims = shapes.map((shape) => BigInt64Array.from(shape, BigInt));
  const addresses = BigUint64Array.from(dims, (each) => (each.length > 0 ? koffi.address(each) : 0n));
  c.TFE_OpSetAttrShapeList(
    op,
    name,
    addresses,
    Int32Array.from(shapes, (each) => each.length),
    shapes.length,
    status,
  );
}
