/**
 * What a run's folder keeps of its data, for whoever uses the weights: `classes.json` has the class names by label, and
 * `statistics.json` the mean image, if the run subtracts it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Checkpoint, runFolderOf } from '../checkpoint/store.js';
import type { Config } from '../config/config.js';
import {
  type Dataset,
  needsStatistics,
  normalizeName,
  readStatistics,
  type Statistics,
  writeStatistics,
} from '../data/index.js';
import { CheckpointError, SplitError } from '../errors.js';
import { jsonText, shellWord } from '../printable.js';
import { readJson } from '../read-json.js';
import { assertFolderWritable, makeFolders, writeNoFollow } from '../safe-write.js';

export const CLASSES_FILE = 'classes.json';
export const STATISTICS_FILE = 'statistics.json';
/** Enough for the names of 65,536 classes. */
const MAX_CLASSES_BYTES = 2 ** 25;

/** Does something with files in a run's folder. @throws CheckpointError for what the disk refuses: "Cannot WHAT FOLDER". */
export function onDisk<T>(what: string, folder: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof SplitError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOTDIR' ? 'part of the path is a file' : message;
    throw new CheckpointError(`Cannot ${what} ${folder}: ${reason}; choose another with --out`, folder);
  }
}

/** Tests whether a run's folder can be made and written to. @throws CheckpointError if it cannot. */
export function tryRunFolder({ out, run }: Pick<Config, 'out' | 'run'>): void {
  const folder = join(out, run);
  onDisk("make the run's folder", folder, () => assertFolderWritable(folder));
}

/** Writes class names and statistics into the run's folder. @throws CheckpointError if the disk refuses them. */
export function keepRunData(
  { out, run }: Pick<Config, 'out' | 'run'>,
  classNames: readonly string[] | undefined,
  statistics: Statistics | undefined,
): void {
  const folder = join(out, run);
  onDisk('write the classes to', folder, () => {
    makeFolders(folder);
    if (classNames) writeNoFollow(join(folder, CLASSES_FILE), `${jsonText(classNames, 1)}\n`);
    if (statistics) writeStatistics(folder, STATISTICS_FILE, statistics);
  });
}

/**
 * Checks that labels mean the same in the run and in the data. Data without class names, and runs that saved none, pass.
 * @throws CheckpointError that names the first class that differs.
 */
export function checkClasses(folder: string, dataset: Dataset): void {
  if (dataset.kind !== 'files') return;
  const trained = runClasses(folder) ?? [];
  const label = trained.findIndex((name, i) => normalizeName(name) !== normalizeName(dataset.classNames[i] ?? ''));
  if (label < 0) return;
  throw new CheckpointError(
    `Cannot use the run ${folder} on ${dataset.source}: class ${label} is ${dataset.classNames[label] ?? 'missing'} there, expected ${trained[label]}, as in the run's classes.json; use data with the classes that the run was trained on`,
    join(folder, CLASSES_FILE),
  );
}

/** A run's statistics, if it saved some that fit. */
function savedStatistics(folder: string, { data, net }: Pick<Config, 'data' | 'net'>): Statistics | undefined {
  const saved = readStatistics(join(folder, STATISTICS_FILE), data.resize);
  return saved && [1, net.inputChannels].includes(saved.channels) ? saved : undefined;
}

/**
 * The statistics of a run's training images: the mean subtracted in training has to be subtracted from other images too.
 * @throws CheckpointError if the run needs them and they are missing or damaged.
 */
export function runStatistics(folder: string, config: Pick<Config, 'data' | 'net'>): Statistics | undefined {
  if (!needsStatistics(config.data)) return undefined;
  const saved = savedStatistics(folder, config);
  if (saved) return saved;
  throw new CheckpointError(
    `Cannot use the run ${folder}: its ${STATISTICS_FILE} is missing or damaged, expected the mean of its training images at ${config.data.resize} pixels; restore the file, compute it again from the same images with train --resume ${shellWord(folder)}, or train again`,
    join(folder, STATISTICS_FILE),
  );
}

/**
 * The statistics with which a resumed run was trained so far. Without them it warns that they are computed again.
 * @throws CheckpointError if they are of another number of images, so of another run or other data.
 */
export function statisticsToContinue(
  checkpoint: Pick<Checkpoint, 'folder' | 'state'>,
  config: Pick<Config, 'data' | 'net'> & Partial<Pick<Config, 'weights'>>,
  warn: (message: string) => void,
): Statistics | undefined {
  if (!needsStatistics(config.data)) return undefined;
  const owner = runFolderOf(checkpoint);
  const file = join(owner ?? '', STATISTICS_FILE);
  const saved = owner === undefined ? undefined : savedStatistics(owner, config);
  if (!saved) {
    const found = owner === undefined ? `${checkpoint.folder} is in no run's folder` : `${file} is missing or damaged`;
    warn(`${found}: the mean of the training images is computed again`);
    return undefined;
  }
  const { trainImages } = checkpoint.state.data;
  if (typeof config.weights === 'string') return saved; // it may be that of the weights' images
  // Unreadable images are not counted in the statistics.
  const isOfData = config.data.onBadImage === 'skip' ? saved.images <= trainImages : saved.images === trainImages;
  if (isOfData) return saved;
  throw new CheckpointError(
    `Cannot resume from ${checkpoint.folder}: ${file} is of ${saved.images} images, and the run was trained with ${trainImages}; restore the run's own file, or remove this one, and it is computed again`,
    file,
  );
}

/** The class names of a resumed run: its own, which the user may have edited, or the data's if it has none that fit. */
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

/** A run's class names by label; undefined if it saved none. @throws CheckpointError if the file is not a list of names. */
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
    `Cannot read the classes in ${file}: ${found}, expected a JSON list of names; remove the file, or train again`,
    file,
  );
}
