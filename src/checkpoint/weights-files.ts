/** The weights files of a run, one for each tower. */
import { basename } from 'node:path';
import { CheckpointError } from '../errors.js';
import { type Entry, openTensors, type TensorFile, type Tensors } from './safetensors.js';

/** The name of a tower's weights file; `count` is the number of towers. */
export function weightsName(tower: number, count: number): string {
  return `tower-${tower}-of-${count}.safetensors`;
}

export function weightsNames(count: number): string[] {
  return Array.from({ length: count }, (_, tower) => weightsName(tower, count));
}

/** Whether a file has a name of {@link weightsName}. */
export function isWeightsName(path: string): boolean {
  return /^tower-\d+-of-\d+\.safetensors$/.test(basename(path));
}

/**
 * Opens several files as one while `use` runs.
 * @throws CheckpointError if one is not a valid file of tensors, or none has a tensor that is read.
 */
export function withTensors<T>(files: readonly string[], use: (tensors: Tensors) => T): T {
  const open: TensorFile[] = [];
  const fileWith = (name: string): Tensors => {
    const found = open.find(({ entries }) => entries.some((each) => each.name === name));
    if (found) return found;
    throw new CheckpointError(
      `Cannot use the weights: none of ${files.join(', ')} has ${name}, expected the files of this net; check --run`,
      files[0] ?? '',
    );
  };
  try {
    for (const file of files) open.push(openTensors(file));
    return use({
      entries: open.flatMap(({ entries }) => entries),
      expect: (name, shape) => fileWith(name).expect(name, shape),
      read: (name, shape) => fileWith(name).read(name, shape),
    });
  } finally {
    for (const file of open) file.close();
  }
}

/**
 * Checks that files have the tensors of a net, before it is allocated: settings from other people may ask for any size.
 * @throws CheckpointError for the first tensor that is missing or has another shape.
 */
export function checkTensors(files: readonly string[], needed: readonly Entry[]): void {
  withTensors(files, (tensors) => {
    for (const { name, shape } of needed) tensors.expect(name, shape);
  });
}
