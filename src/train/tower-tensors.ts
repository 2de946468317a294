/** Copies tensors out of towers, and parameters into them. */
import { bytesOf } from '../checkpoint/safetensors.js';
import type { Parameter } from '../model/net.js';
import type { TowerClient } from '../tower/client.js';
import type { TensorInfo } from '../tower/protocol.js';

/** Shared memory for a float32 tensor. */
export function tensorMemory(shape: readonly number[]): SharedArrayBuffer {
  return new SharedArrayBuffer(bytesOf(shape));
}

/** Copies a tensor out of a tower. @returns its values, float32, row-major. */
export async function fetchTensor(
  tower: TowerClient,
  { kind, name, shape }: Pick<TensorInfo, 'kind' | 'name' | 'shape'>,
): Promise<Float32Array<SharedArrayBuffer>> {
  const memory = tensorMemory(shape);
  await tower.ask({ kind: 'fetch', what: kind, name }, memory);
  return new Float32Array(memory);
}

/** Replaces a parameter in every tower that has it. */
export async function putParameter(
  towers: readonly TowerClient[],
  { name, tower }: Pick<Parameter, 'name' | 'tower'>,
  memory: SharedArrayBuffer,
): Promise<void> {
  const owners = towers.filter(({ setup: { part } }) => part === 'whole' || part === tower);
  await Promise.all(owners.map((owner) => owner.ask({ kind: 'put', name }, memory)));
}
