/**
 * Records what TensorFlow runs in all threads of a process: `node --import` loads this. Each function that is added to the
 * context, and each op that ran without an error, becomes a line of JSON in the file `RECORDED_OPS`.
 */
import { appendFileSync } from 'node:fs';
import koffi from 'koffi';
import { openLibrary } from '../../src/native/c/load.js';
import { type Message, messageFrom } from '../../src/native/c/protobuf.js';
import { bind, type Pointer } from '../../src/native/install/koffi.js';

/** An op that was called, or a node of a function. */
export interface RecordedOp {
  op: string;
  /** Data types by attribute, if they were given. */
  types: Record<string, number[]>;
  /** TensorFlow's name of its device; empty if the function's caller decides. */
  device: string;
}

export interface RecordedNode extends RecordedOp {
  name: string;
  /** Its inputs as in a FunctionDef: `node:output:number`, or the name of one of the function's inputs. */
  inputs: string[];
  /** Numbers by attribute; some of them are the number of tensors of an input. */
  numbers: Record<string, number>;
}

export interface RecordedFunction {
  fn: string;
  /** Names and data types of its inputs. */
  inputs: { name: string; type: number }[];
  nodes: RecordedNode[];
}

/** `FunctionDef` (tensorflow/core/framework/function.proto): signature (1), node_def (3). */
function functionOf(def: Message): RecordedFunction {
  const [signature] = def.messages(1);
  const inputs = signature!.messages(2).map((arg) => ({ name: arg.text(1), type: arg.numbers(3)[0]! }));
  return { fn: signature!.text(1), inputs, nodes: def.messages(3).map(nodeOf) };
}

/** `NodeDef`: name (1), op (2), input (3), device (4), attr (5). An input that begins with ^ gives the order alone. */
function nodeOf(def: Message): RecordedNode {
  const texts = def.all(3).map((text) => Buffer.from(text as Uint8Array).toString());
  const inputs = texts.filter((input) => !input.startsWith('^'));
  const node: RecordedNode = {
    ...{ name: def.text(1), op: def.text(2), device: def.text(4) },
    ...{ inputs, types: {}, numbers: {} },
  };
  for (const attr of def.messages(5)) {
    const name = attr.text(1);
    for (const value of attr.messages(2)) {
      // `AttrValue`: list (1), i (3), type (6); in a list the types are (6).
      const types = [value, ...value.messages(1)].flatMap((each) => each.numbers(6));
      if (types.length > 0) node.types[name] = types;
      for (const number of value.all(3)) node.numbers[name] = number as number;
    }
  }
  return node;
}

// A bundle of a thread's modules would have functions of its own. With source maps the towers use the modules.
process.setSourceMapsEnabled(true);

const file = process.env.RECORDED_OPS!;
const write = (line: RecordedFunction | RecordedOp) => appendFileSync(file, `${JSON.stringify(line)}\n`);
const { c, path } = openLibrary();
const real = { ...c };
const { TF_FunctionToFunctionDef } = bind(
  ['void TF_FunctionToFunctionDef(void *fn, void *buffer, void *status)'],
  [koffi.load(path)],
);

c.TFE_ContextAddFunction = (context, fn, status) => {
  const toDef = (buffer: Pointer) => TF_FunctionToFunctionDef(fn, buffer, status);
  write(functionOf(messageFrom({ c: real, status }, 'read a function', toDef)));
  real.TFE_ContextAddFunction(context, fn, status);
};

/** The ops of this thread that are not complete yet. */
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
