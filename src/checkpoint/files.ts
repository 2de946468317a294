/** The weights files of a run. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CheckpointError } from '../errors.js';
import { type Entry, isWeightsName, openTensors, type TensorFile } from './format.js';
import { checkpointsFolder, newestCheckpoint } from './store.js';

/** Several files as one. */
export interface TensorFiles {
  /** @throws CheckpointError when none has that tensor, or of another shape; nothing is read. */
  expect(name: string, shape: readonly number[]): void;
  /** Reads a tensor from the file that has it. @throws CheckpointError when none has it, or of another shape. */
  read(name: string, shape: readonly number[]): Float32Array<ArrayBuffer>;
  close(): void;
}

/**
 * A run's weights files, tower 0's first: those of its newest whole checkpoint, or those in its folder where it has none.
 * @param told hears which checkpoints could not be used, and why.
 * @throws CheckpointError when there are none.
 */
export function weightsIn(folder: string, told: (text: string) => void = () => {}): string[] {
  const { found, skipped } = newestCheckpoint(checkpointsFolder(folder));
  for (const { folder: checkpoint, why } of skipped) told(`skipped the checkpoint ${checkpoint}: ${why}`);
  if (found) return [...found.files];
  const files = listed(folder).filter(isWeightsName).sort();
  if (files.length > 0) return files.map((name) => join(folder, name));
  throw new CheckpointError(
    `Cannot use ${folder}: it has no weights, expected a whole checkpoint or tower-*.safetensors; a run saves them when it ends`,
    folder,
  );
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'ENOENT' ? 'there is no such folder' : message;
    throw new CheckpointError(`Cannot use the weights of ${folder}: ${found}; choose another run`, folder);
  }
}

/** Opens all of them. @throws CheckpointError for one that is no file of tensors. */
export function openAll(files: readonly string[]): TensorFiles {
  const open: TensorFile[] = [];
  const close = () => {
    for (const file of open) file.close();
  };
  try {
    for (const file of files) open.push(openTensors(file));
  } catch (error) {
    close();
    throw error;
  }
  const ownerOf = (name: string): TensorFile => {
    const owner = open.find(({ entries }) => entries.some((each) => each.name === name));
    if (owner) return owner;
    throw new CheckpointError(
      `Cannot use the weights: none of ${files.join(', ')} has ${name}, expected the files of this net; check --run`,
      files[0] ?? '',
    );
  };
  return {
    expect: (name, shape) => ownerOf(name).expect(name, shape),
    read: (name, shape) => ownerOf(name).read(name, shape),
    close,
  };
}

/**
 * Compares the files' headers with what a net needs, before memory of the net's size is taken: settings that came with
 * somebody's weights may claim any.
 * @throws CheckpointError for the first tensor that is not there, or of another shape.
 */
export function checkTensors(files: readonly string[], needed: readonly Pick<Entry, 'name' | 'shape'>[]): void {
  withTensors(files, (tensors) => {
    for (const { name, shape } of needed) tensors.expect(name, shape);
  });
}

/** Opens files as one, for as long as `use` runs. @throws CheckpointError for one that is no file of tensors. */
export function withTensors<T>(files: readonly string[], use: (tensors: TensorFiles) => T): T {
  const tensors = openAll(files);
  try {
    return use(tensors);
  } finally {
    tensors.close();
  }
}
