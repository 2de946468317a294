/**
 * What a run keeps of its data, for those who use its weights: `classes.json`, the names by label, and where it took the
 * mean image off, `statistics.json`.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, runFolderOf } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import {
  composed,
  type Dataset,
  needsStatistics,
  readStatistics,
  type Statistics,
  writeStatistics,
} from '../data/index.js';
import { CheckpointError } from '../errors.js';
import { jsonText, shellWord } from '../printable.js';
import { readJson } from '../read-json.js';
import { assertFolderWritable, writeNoFollow } from '../safe-write.js';

const CLASSES_FILE = 'classes.json';
const STATISTICS_FILE = 'statistics.json';
/** Room for the names of 65,536 classes. */
const MAX_CLASSES_BYTES = 2 ** 25;

/** Finds out whether a run's folder can be written to, or made. @throws CheckpointError when it cannot. */
export function tryRunFolder({ out, run }: Pick<Config, 'out' | 'run'>): void {
  const folder = join(out, run);
  try {
    assertFolderWritable(folder);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOTDIR' ? 'part of the path is a file' : message;
    throw new CheckpointError(`Cannot make the run's folder ${folder}: ${reason}; choose another with --out`, folder);
  }
}

/** Writes it into the run's folder. @throws CheckpointError when the disk does not take it. */
export function keepRunData(
  { out, run }: Pick<Config, 'out' | 'run'>,
  classNames: readonly string[] | undefined,
  statistics: Statistics | undefined,
): void {
  const folder = join(out, run);
  try {
    mkdirSync(folder, { recursive: true });
    if (classNames) writeNoFollow(join(folder, CLASSES_FILE), `${jsonText(classNames, 1)}\n`);
    if (statistics) writeStatistics(folder, STATISTICS_FILE, statistics);
  } catch (error) {
    throw new CheckpointError(
      `Cannot write the classes to ${folder}: ${(error as Error).message}; choose another folder with --out`,
      folder,
    );
  }
}

/**
 * Makes sure that a run's labels mean the same in the data: a folder of images with other classes would be scored as if
 * they were the run's. Data without names of its own, and runs that wrote none, pass.
 * @throws CheckpointError that names the first class that is another.
 */
export function checkClasses(folder: string, dataset: Dataset): void {
  if (dataset.kind !== 'files') return;
  const trained = runClasses(folder) ?? [];
  const label = trained.findIndex((name, i) => composed(name) !== composed(dataset.classNames[i] ?? ''));
  if (label < 0) return;
  throw new CheckpointError(
    `Cannot use the run ${folder} on ${dataset.source}: class ${label} is ${dataset.classNames[label] ?? 'missing'} there, expected ${trained[label]}, as in the run's classes.json; take data with the classes it was trained on`,
    join(folder, CLASSES_FILE),
  );
}

/**
 * The statistics of the images that a run was trained on: what was taken off those has to be taken off others.
 * @throws CheckpointError when the run needs them and they are gone or damaged.
 */
export function runStatistics(folder: string, { data, net }: Pick<Config, 'data' | 'net'>): Statistics | undefined {
  if (!needsStatistics(data)) return undefined;
  const file = join(folder, STATISTICS_FILE);
  const kept = readStatistics(file, data.resize);
  if (kept && fits(kept, net)) return kept;
  throw new CheckpointError(
    `Cannot use the run ${folder}: its ${STATISTICS_FILE} is missing or damaged, expected the mean of its training images at ${data.resize} pixels; bring the file back, have it computed again of the same images with train --resume ${shellWord(folder)}, or train again`,
    file,
  );
}

/**
 * What a run that goes on takes off its images: what it has learnt with, whatever the cache holds now. Where that is gone
 * it is computed again of the data, which is said.
 * @param warn takes the sentence.
 * @throws CheckpointError for statistics of another number of images: of another run, or other data.
 */
export function statisticsToContinue(
  checkpoint: Pick<Checkpoint, 'folder' | 'state'>,
  { data, net }: Pick<Config, 'data' | 'net'>,
  warn: (message: string) => void,
): Statistics | undefined {
  if (!needsStatistics(data)) return undefined;
  const owner = runFolderOf(checkpoint);
  if (owner === undefined) {
    warn(`${checkpoint.folder} is in no run's folder: the mean of the training images is computed again`);
    return undefined;
  }
  const file = join(owner, STATISTICS_FILE);
  const kept = readStatistics(file, data.resize);
  if (!kept || !fits(kept, net)) {
    warn(`${file} is missing or damaged: the mean of the training images is computed again`);
    return undefined;
  }
  const { trainImages } = checkpoint.state.data;
  // Those that cannot be read are left out of it.
  const isOfData = data.onBadImage === 'skip' ? kept.images <= trainImages : kept.images === trainImages;
  if (isOfData) return kept;
  throw new CheckpointError(
    `Cannot resume from ${checkpoint.folder}: ${file} is of ${kept.images} images, and the run has learnt from ${trainImages}; bring the run's own file back, or take this one away to have it computed again`,
    file,
  );
}

/**
 * The class names of a run that goes on: those that it keeps, which somebody may have given better names; the data's where
 * the checkpoint is in no run's folder.
 */
export function classesToContinue(checkpoint: Pick<Checkpoint, 'folder'>, names: readonly string[]): readonly string[] {
  const owner = runFolderOf(checkpoint);
  if (owner === undefined) return names;
  try {
    const kept = runClasses(owner);
    return kept?.length === names.length || names.length === 0 ? (kept ?? names) : names;
  } catch (error) {
    if (error instanceof CheckpointError) return names;
    throw error;
  }
}

function fits({ channels }: Statistics, net: Config['net']): boolean {
  return channels === 1 || channels === net.inputChannels;
}

/** The class names that a run keeps, by label, if it does. @throws CheckpointError when they are no list of texts. */
export function runClasses(folder: string): string[] | undefined {
  const file = join(folder, CLASSES_FILE);
  if (!existsSync(file)) return undefined;
  let found = 'it holds something else';
  try {
    const names = readJson(file, { limit: MAX_CLASSES_BYTES });
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  } catch (error) {
    if (!(error instanceof SyntaxError)) found = (error as Error).message;
  }
  throw new CheckpointError(
    `Cannot read the classes in ${file}: ${found}, expected a JSON list of names; take the file away, or train again`,
    file,
  );
}
