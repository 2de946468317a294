/** The kernels and ops of the loaded library, by TensorFlow's own lists. */
import koffi from 'koffi';
import { openLibrary } from '../../src/native/c/load.js';
import { bytesOfBuffer, Message } from '../../src/native/c/protobuf.js';
import { bind } from '../../src/native/install/koffi.js';

/** The requirements of a kernel. */
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
  /** Empty for the default kernel. */
  label: string;
}

/** An input or output: one tensor, or as many as the attribute says. */
export interface Arg {
  name: string;
  /** Its data type, if the op allows only one; else 0. */
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

/** Every kernel. `KernelList` and `KernelDef`: op (1), device_type (2), constraint (3), host_memory_arg (4), label (5). */
export function registeredKernels(): RegisteredKernel[] {
  const { path, c } = openLibrary();
  const { TF_GetAllRegisteredKernels } = bind(['void *TF_GetAllRegisteredKernels(void *status)'], [koffi.load(path)]);
  const list = new Message(bytesOfBuffer(TF_GetAllRegisteredKernels(c.TF_NewStatus())));
  return list.messages(1).map((def) => ({
    ...{ op: def.text(1), device: def.text(2), label: def.text(5) },
    types: new Map(def.messages(3).flatMap(constraintOf)),
    host: new Set(def.all(4).map((text) => Buffer.from(text as Uint8Array).toString())),
  }));
}

/** By name (1): allowed_values (2) . list (1) . type (6). Nothing for an attribute that is not a type. */
function constraintOf(constraint: Message): [attr: string, types: Set<number>][] {
  const lists = constraint.messages(2).flatMap((value) => value.messages(1));
  const types = lists.flatMap((list) => list.numbers(6));
  return types.length > 0 ? [[constraint.text(1), new Set(types)]] : [];
}

/** Every op. `OpList` and `OpDef`: name (1), input_arg (2), output_arg (3), attr (4) with type (2). */
export function registeredOps(): Map<string, RegisteredOp> {
  const { TF_GetAllOpList } = bind(['void *TF_GetAllOpList()'], [koffi.load(openLibrary().path)]);
  const list = new Message(bytesOfBuffer(TF_GetAllOpList()));
  return new Map(
    list.messages(1).map((def) => [
      def.text(1),
      {
        inputs: def.messages(2).map(argOf),
        outputs: def.messages(3).map(argOf),
        attrKinds: def.messages(4).map((attr) => attr.text(2)),
      },
    ]),
  );
}

/** name (1), type (3), number_attr (5), type_list_attr (6) */
function argOf(arg: Message): Arg {
  return { name: arg.text(1), type: arg.numbers(3)[0] ?? 0, countAttr: arg.text(5) || arg.text(6) };
}
