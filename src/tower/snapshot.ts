/** A tower's parameters and velocities, out of the device for a checkpoint and into it again. */
import tf = require('@tensorflow/tfjs');

import { bytesOf, type Entry } from '../checkpoint/safetensors.js';
import { withTensors } from '../checkpoint/weights-files.js';
import type { Parameter } from '../model/net.js';
import { copyTensor, tensorFrom } from '../native/binding/tensors.js';
import type { Variable } from '../native/binding/variables.js';
import type { Held } from './parameters.js';
import type { TowerSetup } from './protocol.js';

/**
 * What a checkpoint has of these parameters, in the order in which it stands in memory: every value, then every velocity
 * under `velocity/` and its parameter's name. Both placements give a tensor the same name.
 * @param momentum without it there are no velocities.
 */
export function snapshotEntries(parameters: readonly Pick<Parameter, 'name' | 'shape'>[], momentum: number): Entry[] {
  const values = parameters.map(({ name, shape }) => ({ name, shape }));
  return momentum > 0 ? [...values, ...values.map(({ name, shape }) => ({ name: velocityOf(name), shape }))] : values;
}

/** What stands in a weights file beside the tensors. */
export function fileMetadata({ part, net, seed }: Pick<TowerSetup, 'part' | 'net' | 'seed'>): Record<string, string> {
  return { format: 'alexnet-split', part: String(part), net: net.table, seed: String(seed) };
}

/** Copies values and velocities, as {@link snapshotEntries} lays them out. */
export function copySnapshot(held: readonly Held[], target: Uint8Array): void {
  const variables = [...held.map(({ variable }) => variable), ...held.flatMap(({ velocity }) => velocity ?? [])];
  let offset = 0;
  for (const variable of variables) {
    const bytes = bytesOf(variable.shape);
    const value = variable.read();
    copyTensor(value, target.subarray(offset, offset + bytes));
    value.dispose();
    offset += bytes;
  }
}

/**
 * Takes each value and velocity from the file that has it. A run without momentum has no velocities: a branch of it, with
 * momentum, keeps the zeros that it began with.
 * @throws CheckpointError when none has one of them.
 */
export function restoreSnapshot(held: readonly Held[], files: readonly string[]): void {
  withTensors(files, ({ read, entries }) => {
    const hasVelocities = entries.some(({ name }) => name.startsWith(VELOCITY));
    const assign = (variable: Variable, name: string) => {
      tf.tidy(() => variable.assign(tensorFrom(variable.shape, read(name, variable.shape))));
    };
    for (const { parameter, variable, velocity } of held) {
      assign(variable, parameter.name);
      if (velocity && hasVelocities) assign(velocity, velocityOf(parameter.name));
    }
  });
}

const VELOCITY = 'velocity/';

function velocityOf(name: string): string {
  return `${VELOCITY}${name}`;
}
