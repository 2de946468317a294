/** What a checkpoint has of a tower: the tensors in order, and the metadata of its file. */
import type { Entry } from '../checkpoint/safetensors.js';
import type { Parameter } from '../model/net.js';
import type { TowerSetup } from './protocol.js';

const VELOCITY = 'velocity/';

/** Whether a checkpoint's tensor is a velocity. */
export function isVelocity(name: string): boolean {
  return name.startsWith(VELOCITY);
}

/** The tensors of a checkpoint in the order of the memory: all values, then, with momentum, all velocities. */
export function snapshotEntries(parameters: readonly Pick<Parameter, 'name' | 'shape'>[], momentum: number): Entry[] {
  const values = parameters.map(({ name, shape }) => ({ name, shape }));
  if (momentum === 0) return values;
  return [...values, ...values.map(({ name, shape }) => ({ name: `${VELOCITY}${name}`, shape }))];
}

/** The metadata of a weights file. */
export function fileMetadata({ part, net, seed }: Pick<TowerSetup, 'part' | 'net' | 'seed'>): Record<string, string> {
  return { format: 'alexnet-split', part: String(part), net: net.table, seed: String(seed) };
}
