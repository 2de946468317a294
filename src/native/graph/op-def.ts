/** Which inputs of an op are lists: read from TensorFlow's own description (`tensorflow/core/framework/op_def.proto`). */
import koffi from 'koffi';
import type { Library } from '../c/load.js';
import type { Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';

/** An input: one tensor, or as many as the attribute of that name says. */
export interface InputDef {
  /** Name of the attribute with the number of tensors, or with their types; undefined for a single one. */
  countAttr?: string;
}

export interface OpDef {
  inputs: readonly InputDef[];
  isStateful: boolean;
}

/** Field numbers of `OpDef` and its `ArgDef`. */
const OP = { input: 2, isStateful: 17 } as const;
const ARG = { numberAttr: 5, typeListAttr: 6 } as const;

const known = new Map<string, OpDef>();

/** @throws NativeError for an op that TensorFlow does not have. */
export function opDef({ c }: Library, graph: Pointer, op: string, status: Pointer): OpDef {
  const before = known.get(op);
  if (before) return before;
  const buffer = c.TF_NewBuffer();
  try {
    c.TF_GraphGetOpDef(graph, op, buffer, status);
    check(c, status, `find the op ${op}`, op);
    // TF_Buffer begins with the address of the data and its length.
    const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
    const def = parse(new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer));
    known.set(op, def);
    return def;
  } finally {
    c.TF_DeleteBuffer(buffer);
  }
}

function parse(bytes: Uint8Array): OpDef {
  const inputs: InputDef[] = [];
  let isStateful = false;
  for (const { field, value } of fieldsOf(bytes)) {
    if (field === OP.input && typeof value !== 'number') {
      const count = [...fieldsOf(value)].find(
        (each) => each.field === ARG.numberAttr || each.field === ARG.typeListAttr,
      );
      inputs.push(count ? { countAttr: new TextDecoder().decode(count.value as Uint8Array) } : {});
    }
    if (field === OP.isStateful) isStateful = value === 1;
  }
  return { inputs, isStateful };
}

/** The fields of a message in protobuf's wire format; numbers and length-delimited values are told, others skipped. */
function* fieldsOf(bytes: Uint8Array): Generator<{ field: number; value: number | Uint8Array }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const field = Math.floor(key / 8);
    switch (key & 7) {
      case 0:
        yield { field, value: varint() };
        break;
      case 1:
        at += 8;
        break;
      case 5:
        at += 4;
        break;
      default: {
        const length = varint();
        yield { field, value: bytes.slice(at, at + length) };
        at += length;
      }
    }
  }
}
