/** TensorFlow's kernels for a GPU, and which ops have one. */
import { readFileSync } from 'node:fs';
import { KERNELS_FILE } from './fake-gpu.js';
import type { RecordedFunction, RecordedNode, RecordedOp } from './record-ops.js';
import { type Kernel, registeredKernels, registeredOps } from './registry.js';

/** The numbers in tensorflow/core/framework/types.proto. */
export const TYPE_NUMBERS: Readonly<Record<string, number>> = {
  ...{ float: 1, double: 2, int32: 3, uint8: 4, int16: 5, int8: 6, complex64: 8, int64: 9, bool: 10, qint8: 11 },
  ...{ bfloat16: 14, uint16: 17, complex128: 18, half: 19, uint32: 22, uint64: 23 },
  ...{ float8_e5m2: 24, float8_e4m3fn: 25, int4: 29, uint4: 30 },
};
const INT32 = 3;
const RESOURCE = 20;

/** The GPU kernels, from kernels.txt and from the loaded library. */
export class GpuKernels {
  readonly #kernels = new Map<string, Kernel[]>();
  readonly #ops = registeredOps();

  constructor() {
    for (const line of readFileSync(KERNELS_FILE, 'utf8').trim().split('\n')) {
      if (!line.startsWith('#')) this.#add(...kernelOf(line));
    }
    for (const kernel of registeredKernels()) {
      if (kernel.device === 'DEFAULT' && kernel.label === '') this.#add(kernel.op, kernel);
    }
  }

  /** Whether a GPU can run the op with these types; types that are not given may be any. */
  has(op: RecordedOp): boolean {
    return this.#find(op) !== undefined;
  }

  /**
   * What a call of the function copies between a GPU's memory and the host's, each time: an input of a node on the GPU that
   * lies on the other side.
   */
  copies({ nodes, inputs }: RecordedFunction, isOnHost: (op: RecordedOp) => boolean): string[] {
    const byName = new Map(nodes.map((node) => [node.name, node]));
    const types = new Map(inputs.map(({ name, type }) => [name, type]));
    const isInHostMemory = (source: string) => {
      const [name = '', output = ''] = source.split(':');
      const node = byName.get(name);
      // int32 and resources are passed to functions in host memory.
      if (!node) return types.get(name) === INT32 || types.get(name) === RESOURCE;
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

  /** The argument of each input of a node. */
  #argsOf({ op, inputs, types, numbers }: RecordedNode): string[] {
    const args = this.#ops.get(op)?.inputs ?? [];
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
