/** Shapes of results in a graph. */
import type { Context } from '../c/context.js';
import type { GraphOutput, Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { volume } from '../c/tensors.js';
import type { Node } from './graph-value.js';

/** A result's shape: -1 for a size that TensorFlow does not know, [-1] for an unknown rank. */
export function shapeOf({ library, status }: Context, graph: Pointer, output: GraphOutput, op: string): number[] {
  const { c } = library;
  const rank = c.TF_GraphGetTensorNumDims(graph, output, status);
  check(c, status, `trace the op ${op}`, op);
  if (rank < 0) return [-1];
  const dims = new BigInt64Array(rank);
  if (rank > 0) c.TF_GraphGetTensorShape(graph, output, dims, rank, status);
  check(c, status, `trace the op ${op}`, op);
  return Array.from(dims, Number);
}

/** Tells TensorFlow the shape of a result, where it does not know it though it is fixed. */
export function tellShape(
  context: Context,
  graph: Pointer,
  node: Node,
  index: number,
  known?: readonly number[],
): void {
  const shape = known ?? untoldShape(context, graph, node, index);
  if (!shape) return;
  const { library, status } = context;
  const dims = BigInt64Array.from(shape, BigInt);
  library.c.TF_GraphSetTensorShape(graph, { oper: node.operation, index }, dims, dims.length, status);
  check(library.c, status, `trace the op ${node.op}`, node.op);
}

function untoldShape(
  context: Context,
  graph: Pointer,
  { op, inputs, operation }: Node,
  index: number,
): readonly number[] | undefined {
  if (op === 'ReadVariableOp') return inputs[0]!.shape; // of a resource that is given
  if (op !== '_MklNativeMaxPool' || index !== 1) return undefined;
  const pooled = shapeOf(context, graph, { oper: operation, index: 0 }, op);
  return [volume(pooled)]; // a byte for each maximum
}
