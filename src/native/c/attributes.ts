/** Sets an op's attributes: single values and lists of every kind that tfjs-node's kernels send. */
import { NativeError } from '../../errors.js';
import { loadKoffi } from '../install/koffi.js';
import { AttrType, type Pointer } from './signatures.js';
import { type Calls, Code, check } from './status.js';

const koffi = loadKoffi();

/** One attribute: tfjs-node's `TFEOpAttr`. `type` is one of {@link AttrType}. */
export interface OpAttr {
  name: string;
  type: number;
  value: string | number | boolean | object;
}

const make =
  (type: number) =>
  (name: string, value: OpAttr['value']): OpAttr => ({ name, type, value });

/** Makes attributes: `attr.int('axis', 1)`, `attr.type('T', DataType.FLOAT)`. */
export const attr = {
  string: make(AttrType.STRING),
  int: make(AttrType.INT),
  float: make(AttrType.FLOAT),
  bool: make(AttrType.BOOL),
  type: make(AttrType.TYPE),
  shape: make(AttrType.SHAPE),
};

/** How attributes of plain numbers are set, and the C array that a list of them becomes. */
const NUMBERS = {
  [AttrType.INT]: ['TFE_OpSetAttrInt', 'TFE_OpSetAttrIntList', (list: number[]) => BigInt64Array.from(list, BigInt)],
  [AttrType.FLOAT]: ['TFE_OpSetAttrFloat', 'TFE_OpSetAttrFloatList', (list: number[]) => Float32Array.from(list)],
  [AttrType.BOOL]: ['TFE_OpSetAttrBool', 'TFE_OpSetAttrBoolList', (list: number[]) => Uint8Array.from(list)],
  [AttrType.TYPE]: ['TFE_OpSetAttrType', 'TFE_OpSetAttrTypeList', (list: number[]) => Int32Array.from(list)],
} as const;

/**
 * Sets one attribute of an op that is not complete yet. TensorFlow checks it when the op runs, and ignores an attribute
 * that the op does not have.
 */
export function setAttr(calls: Calls, op: Pointer, opName: string, { name, type, value }: OpAttr): void {
  const { c } = calls;
  const list = listOf(value);
  if (type === AttrType.SHAPE) {
    if (list?.some(Array.isArray)) setShapeList(calls, op, name, list as number[][]);
    else if (list)
      c.TFE_OpSetAttrShape(op, name, BigInt64Array.from(list as number[], BigInt), list.length, calls.status);
    else c.TFE_OpSetAttrShape(op, name, null, -1, calls.status); // unknown rank
    check(calls, `set the shape ${name} of the op ${opName}`, opName);
  } else if (type === AttrType.STRING) {
    if (list) setStringList(c, op, name, list as (string | Uint8Array)[]);
    else c.TFE_OpSetAttrString(op, name, Buffer.from(value as string), Buffer.byteLength(value as string));
  } else if (type in NUMBERS) {
    const [setOne, setList, arrayOf] = NUMBERS[type as keyof typeof NUMBERS];
    if (list) c[setList](op, name, arrayOf(list as number[]) as never, list.length);
    // koffi refuses what is not a number.
    else c[setOne](op, name, type === AttrType.BOOL ? Number(Boolean(value)) : (value as number));
  } else {
    const reason = `attributes of kind ${type} are not supported`;
    throw new NativeError(`Cannot set ${name} of the op ${opName}: ${reason}`, Code.UNIMPLEMENTED, opName);
  }
}

function listOf(value: OpAttr['value']): unknown[] | undefined {
  return Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as unknown as unknown[]) : undefined;
}

function setStringList(c: Calls['c'], op: Pointer, name: string, values: readonly (string | Uint8Array)[]): void {
  const bytes = values.map((value) => Buffer.from(value as string));
  const sizes = BigUint64Array.from(bytes, (each) => BigInt(each.length));
  c.TFE_OpSetAttrStringList(op, name, pointersTo(bytes), sizes, values.length);
}

function setShapeList({ c, status }: Calls, op: Pointer, name: string, shapes: readonly number[][]): void {
  const dims = shapes.map((shape) => new Uint8Array(BigInt64Array.from(shape, BigInt).buffer));
  const ranks = Int32Array.from(shapes, (each) => each.length);
  c.TFE_OpSetAttrShapeList(op, name, pointersTo(dims), ranks, shapes.length, status);
}

/**
 * An array of C pointers to copies of the pieces. The copies follow the pointers in the same memory, so the array keeps
 * them alive: an address alone would not keep them from the garbage collector.
 */
function pointersTo(pieces: readonly Uint8Array[]): BigUint64Array {
  // Each piece begins at a multiple of 8, because it may have 8-byte numbers.
  const sizes = pieces.map(({ length }) => Math.ceil(length / 8) * 8);
  const memory = new Uint8Array(sizes.reduce((sum, each) => sum + each, 8 * pieces.length + 8));
  const pointers = new BigUint64Array(memory.buffer, 0, pieces.length);
  let offset = 8 * pieces.length;
  for (const [i, piece] of pieces.entries()) {
    memory.set(piece, offset);
    pointers[i] = koffi.address(memory) + BigInt(offset);
    offset += sizes[i]!;
  }
  return pointers;
}

/** The same with a graph's attribute functions (`TF_SetAttrInt`) instead of an eager op's (`TFE_OpSetAttrInt`). */
export function graphAttributes({ c, status }: Calls): Calls {
  const setters = Object.entries(c)
    .filter(([name]) => name.startsWith('TF_SetAttr'))
    .map(([name, setter]) => [name.replace('TF_', 'TFE_Op'), setter]);
  return { c: { ...c, ...Object.fromEntries(setters) }, status };
}
