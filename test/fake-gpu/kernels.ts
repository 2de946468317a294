/** TensorFlow's kernels for a GPU, and which ops have one. */
import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { openLibrary } from '../../src/native/c/load.js';
import { fieldsOf } from '../../src/native/c/op-def.js';
import type { Pointer } from '../../src/native/c/signatures.js';
import { KERNELS_FILE } from './fake-gpu.js';
import type { RecordedFunction, RecordedNode, RecordedOp } from './record-ops.js';

/** A kernel, or several alike. */
interface Kernel {
  /** The types that attributes may have. */
  types: Map<string, Set<number>>;
  /** Arguments in host memory. */
  host: Set<string>;
}

/** An op's inputs in order: each one tensor, or as many as the attribute says. */
interface InputArg {
  name: string;
  countAttr: string;
}

/** As tensorflow/core/framework/types.proto numbers them. */
const TYPE_NUMBERS: Record<string, number> = {
  ...{ float: 1, double: 2, int32: 3, uint8: 4, int16: 5, int8: 6, complex64: 8, int64: 9, bool: 10, qint8: 11 },
  ...{ bfloat16: 14, uint16: 17, complex128: 18, half: 19, uint32: 22, uint64: 23 },
  ...{ float8_e5m2: 24, float8_e4m3fn: 25, int4: 29, uint4: 30 },
};
const INT32 = 3;

const text = (bytes: number | Uint8Array) => new TextDecoder().decode(bytes as Uint8Array);
const all = (bytes: number | Uint8Array, field: number) =>
  [...fieldsOf(bytes as Uint8Array)].filter((each) => each.field === field).map(({ value }) => value);

/** What a GPU has kernels for, out of the list beside this and of the library that is loaded. */
export class GpuKernels {
  readonly #kernels = new Map<string, Kernel[]>();
  readonly #inputs = new Map<string, InputArg[]>();

  constructor() {
    for (const line of readFileSync(KERNELS_FILE, 'utf8').trim().split('\n')) {
      if (!line.startsWith('#')) this.#add(...kernelOf(line));
    }
    const { path } = openLibrary();
    const library = koffi.load(path);
    // `KernelList` and `KernelDef`: op (1), device_type (2), constraint (3), host_memory_arg (4), label (5).
    const kernels = bufferOf(library.func('void *TF_GetAllRegisteredKernels(void *status)')(newStatus()));
    for (const def of all(kernels, 1)) {
      if (text(all(def, 2)[0]!) === 'DEFAULT' && all(def, 5).length === 0) this.#add(...kernelFrom(def));
    }
    // `OpList` and `OpDef`: name (1), input_arg (2) with name (1), number_attr (5), type_list_attr (6).
    for (const def of all(bufferOf(library.func('void *TF_GetAllOpList()')()), 1)) {
      const args = all(def, 2).map((arg) => ({
        name: text(all(arg, 1)[0]!),
        countAttr: text([...all(arg, 5), ...all(arg, 6)][0] ?? new Uint8Array()),
      }));
      this.#inputs.set(text(all(def, 1)[0]!), args);
    }
  }

  /** How many ops have one. */
  get size(): number {
    return this.#kernels.size;
  }

  /** Whether a GPU can run the op with these types; types that were not given may be any. */
  has(op: RecordedOp): boolean {
    return this.#find(op) !== undefined;
  }

  /**
   * What a call of the function copies between a GPU's memory and the host's, each time: an input of a node on the GPU that
   * lies on the other side. `host` as in {@link onHost}.
   */
  copies({ nodes, inputs }: RecordedFunction, isOnHost: (op: RecordedOp) => boolean): string[] {
    const byName = new Map(nodes.map((node) => [node.name, node]));
    const types = new Map(inputs.map(({ name, type }) => [name, type]));
    const isInHostMemory = (source: string) => {
      const [name = '', output = ''] = source.split(':');
      const node = byName.get(name);
      // A function gets int32 and resources in host memory.
      if (!node) return types.get(name) === INT32 || types.get(name) === 20;
      return isOnHost(node) || this.#find(node)?.host.has(output) === true;
    };
    return nodes
      .filter((node) => !isOnHost(node) && this.has(node))
      .flatMap((node) =>
        this.#argsOf(node).flatMap((arg, i) => {
          const source = node.inputs[i]!;
          const wantsHost = this.#find(node)!.host.has(arg);
          if (wantsHost === isInHostMemory(source)) return [];
          const from = byName.get(source.split(':')[0]!)?.op ?? 'an input';
          return [`${arg} of ${node.op} is copied to ${wantsHost ? 'the host' : 'the GPU'}, from ${from}`];
        }),
      );
  }

  /** Which argument each input of a node is. */
  #argsOf({ op, inputs, types, numbers }: RecordedNode): string[] {
    const args = this.#inputs.get(op) ?? [];
    const names = args.flatMap(({ name, countAttr }) => {
      const count = countAttr === '' ? 1 : (numbers[countAttr] ?? types[countAttr]?.length ?? 0);
      return Array<string>(count).fill(name);
    });
    if (names.length !== inputs.length) throw new Error(`${op} has ${inputs.length} inputs, expected ${names.length}`);
    return names;
  }

  #find({ op, types }: RecordedOp): Kernel | undefined {
    return this.#kernels
      .get(op)
      ?.find((kernel) =>
        [...kernel.types].every(([attr, allowed]) => (types[attr] ?? []).every((type) => allowed.has(type))),
      );
  }

  #add(op: string, kernel: Kernel): void {
    this.#kernels.set(op, [...(this.#kernels.get(op) ?? []), kernel]);
  }
}

/** A line of the list. */
function kernelOf(line: string): [op: string, Kernel] {
  const [op = '', ...words] = line.split(' ');
  const kernel: Kernel = { types: new Map(), host: new Set() };
  for (const word of words) {
    if (word.startsWith('@')) kernel.host = new Set(word.slice(1).split(','));
    else {
      const [attr = '', names = ''] = word.split('=');
      kernel.types.set(attr, new Set(names.split(',').map((name) => TYPE_NUMBERS[name]!)));
    }
  }
  return [op, kernel];
}

/** A `KernelDef`; of a constraint the name is (1), and the types are in allowed_values (2) . list (1) . type (6). */
function kernelFrom(def: number | Uint8Array): [op: string, Kernel] {
  const types = all(def, 3).map((constraint): [string, Set<number>] => {
    const lists = all(constraint, 2).flatMap((value) => all(value, 1));
    const allowed = lists
      .flatMap((list) => all(list, 6))
      .flatMap((each) => (typeof each === 'number' ? each : [...each]));
    return [text(all(constraint, 1)[0]!), new Set(allowed)];
  });
  return [text(all(def, 1)[0]!), { types: new Map(types), host: new Set(all(def, 4).map(text)) }];
}

function newStatus(): Pointer {
  return openLibrary().c.TF_NewStatus();
}

/** A copy of a TF_Buffer's bytes: its data's address and length come first. */
function bufferOf(buffer: Pointer): Uint8Array {
  const [data, length] = new BigUint64Array(koffi.view(buffer, 16) as ArrayBuffer);
  return Uint8Array.from(new Uint8Array(koffi.view(data!, Number(length)) as ArrayBuffer));
}
