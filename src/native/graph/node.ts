/** What a recorded graph consists of: nodes, and the values that they compute. */
import { NativeError } from '../../errors.js';
import type { TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import type { Library } from '../c/load.js';
import type { OpDef } from '../c/ops.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { Code } from '../c/status.js';

export interface Node {
  operation: Pointer;
  op: string;
  inputs: readonly Value[];
  isStateful: boolean;
}

/** An output of a node. Its id stands for it in tfjs, as the id of a tensor would. */
export interface Value extends TensorMetadata {
  node: Node;
  index: number;
}

export function ofAnotherTrace(): NativeError {
  return new NativeError(
    'Cannot use a tensor of another trace: it was made while a compiled function was recorded; return it from that function, or make it an input of this one',
    Code.INVALID_ARGUMENT,
  );
}

export function keyOf({ node, index }: Value): string {
  return `${node.operation}:${index}`;
}

/** The values as a C array of `TF_Output`. */
export function outputsOf(values: readonly Value[]): BigUint64Array {
  return BigUint64Array.from(values.flatMap(({ node, index }) => [node.operation, BigInt(index)]));
}

/** The only op that uses a variable and does not change it. */
const READ = 'ReadVariableOp';

/**
 * Keeps ops with side effects in their order, by control dependencies: a read comes after the last write, and a write after
 * everything before it. TensorFlow itself orders ops by their inputs alone.
 */
export class SideEffects {
  /** By resource: the op that wrote it last, and those that have read it since. */
  readonly #order = new Map<string, readonly { op: string; operation: Pointer }[]>();

  before(op: string, resources: readonly string[]): Set<Pointer> {
    const ops = resources.flatMap((resource) => this.#order.get(resource) ?? []);
    return new Set(ops.filter((each) => op !== READ || each.op !== READ).map(({ operation }) => operation));
  }

  note(op: string, resources: readonly string[], operation: Pointer): void {
    for (const resource of resources) {
      const before = op === READ ? (this.#order.get(resource) ?? []) : [];
      this.#order.set(resource, [...before, { op, operation }]);
    }
  }
}

/** The resources that an op uses: its variables and queues, or `world` if it is stateful without any. */
export function resourcesOf(inputs: readonly Value[], isStateful: boolean): string[] {
  const resources = inputs.filter(({ dtype }) => dtype === DataType.RESOURCE).map(keyOf);
  return resources.length > 0 ? resources : isStateful ? ['world'] : [];
}

/**
 * Gives an operation that is being built its inputs. An input with an attribute for the count takes a list: as long as
 * that attribute says, or all that is left.
 */
export function addInputs(
  c: Library['c'],
  description: Pointer,
  { inputs: defs }: OpDef,
  op: string,
  attrs: readonly OpAttr[],
  inputs: readonly Value[],
): void {
  let next = 0;
  const single = defs.filter((countAttr) => countAttr === undefined).length;
  for (const countAttr of defs) {
    if (countAttr === undefined) {
      const input = inputs[next++];
      if (!input) {
        const message = `Cannot trace the op ${op}: it was given ${inputs.length} inputs`;
        throw new NativeError(message, Code.INVALID_ARGUMENT, op);
      }
      c.TF_AddInput(description, { oper: input.node.operation, index: input.index });
      continue;
    }
    const attr = attrs.find(({ name }) => name === countAttr)?.value;
    const count = Array.isArray(attr) ? attr.length : typeof attr === 'number' ? attr : inputs.length - single;
    c.TF_AddInputList(description, outputsOf(inputs.slice(next, next + count)), count);
    next += count;
  }
}
