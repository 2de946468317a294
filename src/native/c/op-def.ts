/** What an op takes: read from TensorFlow's own description (`tensorflow/core/framework/op_def.proto`). */
import type { Library } from './load.js';
import { messageFrom } from './protobuf.js';
import { DataType, type Pointer } from './signatures.js';

/** An input: one tensor, or as many as the attribute of that name says. */
export interface InputDef {
  /** Name of the attribute with the number of tensors, or with their types; undefined for a single one. */
  countAttr?: string;
}

export interface OpDef {
  inputs: readonly InputDef[];
  isStateful: boolean;
  /** Whether an input or output is always of strings, whatever the attributes are. */
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
  const get = (buffer: Pointer) => c.TF_GraphGetOpDef(graph, op, buffer, status);
  const message = messageFrom(c, status, `find the op ${op}`, get, op);
  const [inputs, outputs] = [message.messages(OP.input), message.messages(OP.output)];
  const def = {
    inputs: inputs.map((arg): InputDef => {
      const countAttr = arg.text(ARG.numberAttr) || arg.text(ARG.typeListAttr);
      return countAttr ? { countAttr } : {};
    }),
    isStateful: message.numbers(OP.isStateful).includes(1),
    hasStrings: [...inputs, ...outputs].some((arg) => arg.numbers(ARG.type).includes(DataType.STRING)),
  };
  known.set(op, def);
  return def;
}
