/** What an op takes and makes: read from TensorFlow's own description (`tensorflow/core/framework/op_def.proto`). */
import type { Library } from './load.js';
import { bytesOfBuffer, fieldsOf } from './protobuf.js';
import { DataType, type Pointer } from './signatures.js';
import { check } from './status.js';

/** An input: one tensor, or as many as the attribute of that name says. */
export interface InputDef {
  /** Name of the attribute with the number of tensors, or with their types; undefined for a single one. */
  countAttr?: string;
}

export interface OpDef {
  inputs: readonly InputDef[];
  isStateful: boolean;
  /** Whether an input or output is of strings, whatever the attributes are. */
  hasStrings: boolean;
}

/** Field numbers of `OpDef` and its `ArgDef`. */
const OP = { input: 2, output: 3, isStateful: 17 } as const;
const ARG = { type: 3, numberAttr: 5, typeListAttr: 6 } as const;

const known = new Map<string, OpDef>();

/** @throws NativeError for an op that TensorFlow does not have. */
export function opDef({ c }: Library, graph: Pointer, op: string, status: Pointer): OpDef {
  const before = known.get(op);
  if (before) return before;
  const buffer = c.TF_NewBuffer();
  try {
    c.TF_GraphGetOpDef(graph, op, buffer, status);
    check(c, status, `find the op ${op}`, op);
    const def = parse(bytesOfBuffer(buffer));
    known.set(op, def);
    return def;
  } finally {
    c.TF_DeleteBuffer(buffer);
  }
}

function parse(bytes: Uint8Array): OpDef {
  const inputs: InputDef[] = [];
  let isStateful = false;
  let hasStrings = false;
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === OP.isStateful) isStateful = value === 1;
    if ((field !== OP.input && field !== OP.output) || typeof value === 'number') continue;
    const arg = [...fieldsOf(value)];
    if (arg.some((each) => each.field === ARG.type && each.value === DataType.STRING)) hasStrings = true;
    if (field === OP.output) continue;
    const count = arg.find((each) => each.field === ARG.numberAttr || each.field === ARG.typeListAttr);
    inputs.push(count ? { countAttr: new TextDecoder().decode(count.value as Uint8Array) } : {});
  }
  return { inputs, isStateful, hasStrings };
}
