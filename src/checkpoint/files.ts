/** The weights files of a run. */
import { CheckpointError } from '../errors.js';
import { chooseWeights } from './choose.js';
import { type Entry, openTensors, type TensorFile } from './format.js';

/** Several files as one. */
export interface TensorFiles {
  /** @throws CheckpointError when none has that tensor, or of another shape; nothing is read. */
  expect(name: string, shape: readonly number[]): void;
  /** Reads a tensor from the file that has it. @throws CheckpointError when none has it, or of another shape. */
  read(name: string, shape: readonly number[]): Float32Array<ArrayBuffer>;
  /** Names of all their tensors. */
  readonly names: readonly string[];
  close(): void;
}

/** The files of {@link chooseWeights}. @throws as that. */
export function weightsIn(folder: string, told?: (text: string) => void): readonly string[] {
  return chooseWeights(folder, 'last', told).files;
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
    names: open.flatMap(({ entries }) => entries.map(({ name }) => name)),
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
