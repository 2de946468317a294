/** TensorFlow's own lists, of the library that is loaded: its kernels and its ops. */
import koffi from 'koffi';
import { openLibrary } from '../../src/native/c/load.js';
import { fieldsOf } from '../../src/native/c/protobuf.js';
import type { Pointer } from '../../src/native/c/signatures.js';

/** What a kernel wants. */
export interface Kernel {
  /** The types that attributes may have. */
  types: Map<string, Set<number>>;
  /** Arguments in host memory. */
  host: Set<string>;
}

export interface RegisteredKernel extends Kernel {
  op: string;
  /** `CPU`, `GPU`, …, or `DEFAULT` for every device. */
  device: string;
  /** Empty for the kernel that an op gets that asks for none. */
  label: string;
}

/** An input or output: one tensor, or as many as the attribute says. */
export interface Arg {
  name: string;
  /** Its data type, where the op has but one; 0 elsewhere. */
  type: number;
  /** Name of the attribute with the number of tensors, or with their types; empty for a single one. */
  countAttr: string;
}

export interface RegisteredOp {
  inputs: Arg[];
  outputs: Arg[];
  /** Kinds of its attributes. */
  attrKinds: string[];
}

type Message = number | Uint8Array;

const all = (message: Message, field: number) =>
  [...fieldsOf(message as Uint8Array)].filter((each) => each.field === field).map(({ value }) => value);
const textOf = (message: Message, ...fields: number[]) =>
  new TextDecoder().decode(fields.flatMap((field) => all(message, field))[0] as Uint8Array | undefined);

/** Every kernel. `KernelList` and `KernelDef`: op (1), device_type (2), constraint (3), host_memory_arg (4), label (5). */
export function registeredKernels(): RegisteredKernel[] {
  const { path, c } = openLibrary();
  const list = koffi.load(path).func('void *TF_GetAllRegisteredKernels(void *status)')(c.TF_NewStatus());
  return all(bytesOf(list), 1).map((def) => ({
    ...{ op: textOf(def, 1), device: textOf(def, 2), label: textOf(def, 5) },
    types: new Map(all(def, 3).flatMap(constraintOf)),
    host: new Set(all(def, 4).map((arg) => new TextDecoder().decode(arg as Uint8Array))),
  }));
}

/** By name (1): allowed_values (2) . list (1) . type (6), one by one or packed. Nothing for what is no type. */
function constraintOf(constraint: Message): [attr: string, types: Set<number>][] {
  const lists = all(constraint, 2).flatMap((value) => all(value, 1));
  const types = lists.flatMap((list) => all(list, 6)).flatMap((each) => (typeof each === 'number' ? each : [...each]));
  return types.length > 0 ? [[textOf(constraint, 1), new Set(types)]] : [];
}

/** Every op. `OpList` and `OpDef`: name (1), input_arg (2), output_arg (3), attr (4) with type (2). */
export function registeredOps(): Map<string, RegisteredOp> {
  const list = koffi.load(openLibrary().path).func('void *TF_GetAllOpList()')();
  const ops = all(bytesOf(list), 1).map((def): [string, RegisteredOp] => [
    textOf(def, 1),
    {
      inputs: all(def, 2).map(argOf),
      outputs: all(def, 3).map(argOf),
      attrKinds: all(def, 4).map((attr) => textOf(attr, 2)),
    },
  ]);
  return new Map(ops);
}

/** name (1), type (3), number_attr (5), type_list_attr (6) */
function argOf(arg: Message): Arg {
  return { name: textOf(arg, 1), type: Number(all(arg, 3)[0] ?? 0), countAttr: textOf(arg, 5, 6) };
}

/** A copy of a TF_Buffer's bytes: its data's address and length come first. */
function bytesOf(buffer: Pointer): Uint8Array {
  const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
  return Uint8Array.from(new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer));
}
