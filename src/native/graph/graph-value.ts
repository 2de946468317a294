/** What a graph that is recorded is made of. */

import type { TensorMetadata } from '../binding/binding.js';
import type { OpAttr } from '../c/attributes.js';
import { AttrType, type GraphOutput, type Pointer } from '../c/signatures.js';

/** An operation in the graph. */
export interface Node {
  operation: Pointer;
  op: string;
  inputs: readonly Value[];
  isStateful: boolean;
}

/** An output of a node. */
export interface Value extends TensorMetadata {
  node: Node;
  index: number;
}

/** A value's name among all of the graph. */
export function keyOf({ node, index }: Value): string {
  return `${node.operation}:${index}`;
}

/** A value as C has it. */
export function outputOf({ node, index }: Value): GraphOutput {
  return { oper: node.operation, index };
}

/** Values as an array of `TF_Output`: each an address and an index, sixteen bytes. */
export function pack(values: readonly Value[]): BigUint64Array {
  return BigUint64Array.from(values.flatMap(({ node, index }) => [node.operation, BigInt(index)]));
}

/** The attribute of an op for one type. */
export function typeAttr(dtype: number): OpAttr {
  return { name: 'T', type: AttrType.TYPE, value: dtype };
}
