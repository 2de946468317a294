/** Sets an op's attributes, of every kind that tfjs-node's kernels send, single values and lists. */
import { NativeError } from '../../errors.js';
import { loadKoffi } from '../install/koffi.js';
import type { Library } from './load.js';
import { AttrType, type Pointer } from './signatures.js';
import { check } from './status.js';

const koffi = loadKoffi();

/** One attribute: tfjs-node's `TFEOpAttr`. `type` is one of {@link AttrType}. */
export interface OpAttr {
  name: string;
  type: number;
  value: string | number | boolean | object | number[];
}

/**
 * Sets one attribute of an op that is being put together. TensorFlow checks it when the op runs, and does not look at one
 * that the op has not.
 * @throws NativeError when TensorFlow has no attributes of that kind, or refuses the shape.
 */
export function setAttr({ c }: Library, op: Pointer, opName: string, attr: OpAttr, status: Pointer): void {
  const { name, type, value } = attr;
  const list = listOf(value);
  if (type === AttrType.SHAPE) {
    if (list?.some(Array.isArray)) setShapeList(c, op, name, list as number[][], status);
    else if (list) c.TFE_OpSetAttrShape(op, name, BigInt64Array.from(list as number[], BigInt), list.length, status);
    else c.TFE_OpSetAttrShape(op, name, null, -1, status); // unknown rank
    check(c, status, `set the shape ${name} of the op ${opName}`, opName);
    return;
  }
  if (list ? setList(c, op, name, type, list) : setSingle(c, op, name, type, value)) return;
  throw new NativeError(
    `Cannot set ${name} of the op ${opName}: attributes of kind ${type} are not supported`,
    12,
    opName,
  );
}

function listOf(value: OpAttr['value']): unknown[] | undefined {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as unknown as unknown[]) : undefined;
}

/** @returns false for a kind that there is not. */
function setSingle(c: Library['c'], op: Pointer, name: string, type: number, value: OpAttr['value']): boolean {
  if (type === AttrType.STRING) {
    const bytes = Buffer.from(value as string);
    c.TFE_OpSetAttrString(op, name, bytes, bytes.length);
  } else if (type === AttrType.INT) c.TFE_OpSetAttrInt(op, name, value as number);
  else if (type === AttrType.FLOAT) c.TFE_OpSetAttrFloat(op, name, value as number);
  else if (type === AttrType.BOOL) c.TFE_OpSetAttrBool(op, name, value ? 1 : 0);
  else if (type === AttrType.TYPE) c.TFE_OpSetAttrType(op, name, value as number);
  else return false;
  return true;
}

/** @returns false for a kind that there is not. */
function setList(c: Library['c'], op: Pointer, name: string, type: number, list: unknown[]): boolean {
  const numbers = list as number[];
  if (type === AttrType.STRING) setStringList(c, op, name, list as (string | Uint8Array)[]);
  else if (type === AttrType.INT) {
    c.TFE_OpSetAttrIntList(op, name, BigInt64Array.from(numbers, BigInt), numbers.length);
  } else if (type === AttrType.FLOAT) {
    c.TFE_OpSetAttrFloatList(op, name, Float32Array.from(numbers), numbers.length);
  } else if (type === AttrType.BOOL) {
    c.TFE_OpSetAttrBoolList(op, name, Uint8Array.from(numbers), numbers.length);
  } else if (type === AttrType.TYPE) {
    c.TFE_OpSetAttrTypeList(op, name, Int32Array.from(numbers), numbers.length);
  } else return false;
  return true;
}

function setStringList(c: Library['c'], op: Pointer, name: string, values: readonly (string | Uint8Array)[]): void {
  const bytes = values.map((value) => Buffer.from(value as string));
  const sizes = BigUint64Array.from(bytes, (each) => BigInt(each.length));
  c.TFE_OpSetAttrStringList(op, name, pointersTo(bytes), sizes, values.length);
}

function setShapeList(c: Library['c'], op: Pointer, name: string, shapes: readonly number[][], status: Pointer): void {
  const dims = shapes.map((shape) => new Uint8Array(BigInt64Array.from(shape, BigInt).buffer));
  const ranks = Int32Array.from(shapes, (each) => each.length);
  c.TFE_OpSetAttrShapeList(op, name, pointersTo(dims), ranks, shapes.length, status);
}

/**
 * An array of pointers, for C, to copies of the pieces. The copies lie behind the pointers in the same memory, so that
 * whoever holds the array holds them too: an address alone would not keep them from the garbage collector.
 */
function pointersTo(pieces: readonly Uint8Array[]): BigUint64Array {
  // Each piece begins at a multiple of 8, for the numbers in it.
  const room = pieces.map(({ length }) => Math.ceil(length / 8) * 8);
  const memory = new Uint8Array(room.reduce((sum, each) => sum + each, 8 * pieces.length + 8));
  const pointers = new BigUint64Array(memory.buffer, 0, pieces.length);
  let offset = 8 * pieces.length;
  for (const [i, piece] of pieces.entries()) {
    memory.set(piece, offset);
    pointers[i] = koffi.address(memory) + BigInt(offset);
    offset += room[i]!;
  }
  return pointers;
}

/** The library with a graph's attribute functions (`TF_SetAttrInt`) in place of an eager op's (`TFE_OpSetAttrInt`). */
export function graphAttributes(library: Library): Library {
  const setters = Object.entries(library.c)
    .filter(([name]) => name.startsWith('TF_SetAttr'))
    .map(([name, setter]) => [name.replace('TF_', 'TFE_Op'), setter]);
  return { ...library, c: { ...library.c, ...Object.fromEntries(setters) } };
}
