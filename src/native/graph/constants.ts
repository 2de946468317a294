/** Constants of a graph that is recorded. */
import type { PinnedBinding } from '../binding/binding.js';
import type { Context } from '../c/context.js';
import { DataType, type Pointer } from '../c/signatures.js';
import { check } from '../c/status.js';
import { bytesPerElement, volume } from '../c/tensors.js';

/** A constant of no more bytes is made once for all that need it. */
const SMALL_BYTES = 64;

/** What a small tensor holds, as text: sizes, axes and factors come up again and again. Nothing for a larger one. */
export function constantKey(binding: PinnedBinding, id: number): string | undefined {
  const { shape, dtype } = binding.describe(id);
  const size = volume(shape);
  if (dtype === DataType.STRING || size * bytesPerElement(dtype) > SMALL_BYTES) return undefined;
  const { buffer, byteOffset, byteLength } = binding.tensorDataSync(id) as Uint8Array;
  return `${dtype} [${shape}] ${Buffer.from(buffer, byteOffset, byteLength).toString('hex')}`;
}

/** Adds a tensor's values to the graph. @param device where they lie; strings lie on the host. @returns the operation. @throws NativeError when TensorFlow refuses them. */
export function addConstant(
  { library, status }: Context,
  graph: Pointer,
  name: string,
  binding: PinnedBinding,
  id: number,
  { device }: { device: string | undefined },
): Pointer {
  const { c } = library;
  const { dtype } = binding.describe(id);
  const tensor = c.TFE_TensorHandleResolve(binding.handle(id), status);
  check(c, status, 'trace a constant');
  try {
    const description = c.TF_NewOperation(graph, 'Const', name);
    if (device !== undefined) c.TF_SetDevice(description, dtype === DataType.STRING ? binding.host : device);
    c.TF_SetAttrTensor(description, 'value', tensor, status);
    check(c, status, 'trace a constant', 'Const');
    c.TF_SetAttrType(description, 'dtype', dtype);
    const operation = c.TF_FinishOperation(description, status);
    check(c, status, 'trace a constant', 'Const');
    return operation;
  } finally {
    c.TF_DeleteTensor(tensor);
  }
}
