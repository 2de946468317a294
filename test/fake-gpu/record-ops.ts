/**
 * Records what a process has TensorFlow run, in all of its threads: `node --import` loads this. Each function that is given
 * to the context, and each op that was called and not refused, becomes a line of JSON in the file that `RECORDED_OPS` names.
 */
import { appendFileSync } from 'node:fs';
import koffi from 'koffi';
import { openLibrary } from '../../src/native/c/load.js';
import { fieldsOf } from '../../src/native/c/protobuf.js';
import type { Pointer } from '../../src/native/c/signatures.js';

/** An op that was called, or a node of a function. */
export interface RecordedOp {
  op: string;
  /** Data types by the attribute that gives them, where they were given. */
  types: Record<string, number[]>;
  /** TensorFlow's name of the device it was placed on; empty where the function's caller decides. */
  device: string;
}

export interface RecordedNode extends RecordedOp {
  name: string;
  /** What it reads, as a FunctionDef has it: `node:output:number`, or the name of one of the function's inputs. */
  inputs: string[];
  /** Numbers by attribute, of which some tell how many tensors an input is. */
  numbers: Record<string, number>;
}

export interface RecordedFunction {
  fn: string;
  /** Names and data types of its inputs. */
  inputs: { name: string; type: number }[];
  nodes: RecordedNode[];
}

type Fields = { field: number; value: number | Uint8Array }[];

const read = (bytes: Uint8Array): Fields => [...fieldsOf(bytes)];
const text = (bytes: number | Uint8Array) => new TextDecoder().decode(bytes as Uint8Array);
const all = (fields: Fields, field: number) => fields.filter((each) => each.field === field).map(({ value }) => value);
const parts = (fields: Fields, field: number) => all(fields, field).map((value) => read(value as Uint8Array));
const textOf = (fields: Fields, field: number) => all(fields, field).map(text)[0] ?? '';

/** `FunctionDef` (tensorflow/core/framework/function.proto): signature (1), node_def (3). */
function functionOf(bytes: Uint8Array): RecordedFunction {
  const fields = read(bytes);
  const [signature] = parts(fields, 1);
  const inputs = parts(signature!, 2).map((arg) => ({ name: textOf(arg, 1), type: Number(all(arg, 3)[0]) }));
  return { fn: textOf(signature!, 1), inputs, nodes: parts(fields, 3).map(nodeOf) };
}

/** `NodeDef`: name (1), op (2), input (3), device (4), attr (5). An input that begins with ^ gives the order alone. */
function nodeOf(fields: Fields): RecordedNode {
  const inputs = all(fields, 3)
    .map(text)
    .filter((input) => !input.startsWith('^'));
  const node: RecordedNode = {
    ...{ name: textOf(fields, 1), op: textOf(fields, 2), device: textOf(fields, 4) },
    ...{ inputs, types: {}, numbers: {} },
  };
  for (const attr of parts(fields, 5)) {
    const name = textOf(attr, 1);
    const value = parts(attr, 2)[0] ?? [];
    // `AttrValue`: list (1), i (3), type (6); in a list the types are (6), one by one or packed.
    const list = parts(value, 1)[0] ?? [];
    const types = [...all(value, 6), ...all(list, 6).flatMap((each) => (typeof each === 'number' ? each : [...each]))];
    if (types.length > 0) node.types[name] = types as number[];
    for (const number of all(value, 3)) node.numbers[name] = number as number;
  }
  return node;
}

const file = process.env.RECORDED_OPS!;
const write = (line: RecordedFunction | RecordedOp) => appendFileSync(file, `${JSON.stringify(line)}\n`);
const { c, path } = openLibrary();
const real = { ...c };
const toFunctionDef = koffi
  .load(path)
  .func('void TF_FunctionToFunctionDef(const void *fn, void *buffer, void *status)') as unknown as (
  fn: Pointer,
  buffer: Pointer,
  status: Pointer,
) => void;

c.TFE_ContextAddFunction = (context, fn, status) => {
  const buffer = real.TF_NewBuffer();
  toFunctionDef(fn, buffer, status);
  const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
  write(functionOf(new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer)));
  real.TF_DeleteBuffer(buffer);
  real.TFE_ContextAddFunction(context, fn, status);
};

/** The ops that are being put together in this thread. */
const open = new Map<Pointer, RecordedOp>();
const seen = new Set<string>();

c.TFE_NewOp = (context, op, status) => {
  const pointer = real.TFE_NewOp(context, op, status);
  open.set(pointer, { op, types: {}, device: '' });
  return pointer;
};
c.TFE_OpSetDevice = (pointer, device, status) => {
  open.get(pointer)!.device = device;
  real.TFE_OpSetDevice(pointer, device, status);
};
c.TFE_OpSetAttrType = (pointer, name, type) => {
  open.get(pointer)!.types[name] = [type];
  real.TFE_OpSetAttrType(pointer, name, type);
};
c.TFE_OpSetAttrTypeList = (pointer, name, types, count) => {
  open.get(pointer)!.types[name] = [...types];
  real.TFE_OpSetAttrTypeList(pointer, name, types, count);
};
c.TFE_Execute = (pointer, outputs, count, status) => {
  real.TFE_Execute(pointer, outputs, count, status);
  const op = open.get(pointer)!;
  const key = JSON.stringify(op);
  if (seen.has(key) || real.TF_GetCode(status) !== 0) return;
  seen.add(key);
  write(op);
};
c.TFE_DeleteOp = (pointer) => {
  open.delete(pointer);
  real.TFE_DeleteOp(pointer);
};
