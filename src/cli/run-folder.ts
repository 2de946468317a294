/** The folder of a run: `<out>/<run>`. */
import fs from 'node:fs';
import { dirname, join } from 'node:path';
import { checkpointsFolder, stepsIn } from '../checkpoint/store.js';
import { isWeightsName } from '../checkpoint/weights-files.js';
import type { Config } from '../config/config.js';
import { ConfigError, SplitError } from '../errors.js';
import { jsonText } from '../printable.js';
import { makeFolders, openNoFollow, writeNoFollow } from '../safe-write.js';
import { explained } from './explain.js';
import { trainingProcess } from './run-lock.js';

export function runFolder({ out, run }: Pick<Config, 'out' | 'run'>): string {
  return join(out, run);
}

/**
 * Checks before anything is made that the run's name is free, if the user chose it. Other names get a number.
 * @throws ConfigError if the folder exists and is not empty; SplitError if it cannot be read.
 */
export function checkName(config: Config, isGiven: boolean): void {
  const folder = runFolder(config);
  try {
    const isTaken = !fs.lstatSync(folder).isDirectory() || fs.readdirSync(folder).length > 0;
    if (isTaken && isGiven) throw nameTaken(folder);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (codeOf(error) !== 'ENOENT') throw unusable(folder, error); // no other name would help
  }
}

/**
 * Makes the run's folder, and writes the settings there as `config.json`. A name that was made from the time gets a number
 * if another run has it, even one that takes it at this moment.
 * @returns the settings with the run's final name.
 * @throws ConfigError if a name that the user chose is taken; SplitError if the folder cannot be written.
 */
export function makeFolder(config: Config, isGiven: boolean): Config {
  const named = isGiven ? config : makeNumbered(config);
  const folder = runFolder(named);
  try {
    makeFolders(folder);
    // `wx`: if two runs start at once under one name, one of them fails here.
    fs.writeFileSync(join(folder, 'config.json'), `${jsonText(named, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw nameTaken(folder);
    throw unusable(folder, error);
  }
  return named;
}

/** Makes a new folder under the config's name, or that name with a number. @returns the settings with that name. */
export function makeNumbered(config: Config): Config {
  for (let number = 1; ; number++) {
    const named = number === 1 ? config : Object.freeze({ ...config, run: `${config.run}-${number}` });
    const folder = runFolder(named);
    try {
      makeFolders(dirname(folder));
      fs.mkdirSync(folder);
      return named;
    } catch (error) {
      // A folder belongs to the run that made it, even while it is empty.
      if (codeOf(error) !== 'EEXIST' || !fs.existsSync(folder)) throw unusable(folder, error);
    }
  }
}

/**
 * Prepares the folder of a run that resumes: replaces the settings in `config.json`, and truncates the log after its last
 * whole line, because a killed process or a full disk leaves half a line.
 * @throws SplitError if the files cannot be written.
 */
export function continueFolder(config: Config): void {
  const folder = runFolder(config);
  explained(`resume in ${folder}`, 'free space, or make it writable', () => {
    const draft = join(folder, `config.json.${process.pid}.partial`);
    writeNoFollow(draft, `${jsonText(config, 2)}\n`);
    fs.renameSync(draft, join(folder, 'config.json'));
    truncateHalfLine(join(folder, 'log.ndjson'));
  });
}

/** The names in a folder; none if it does not exist. */
export function filesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return [];
    throw unusable(folder, error);
  }
}

/** Longer than any line of the log. */
const MAX_LINE_BYTES = 2 ** 20;

function truncateHalfLine(log: string): void {
  if (!fs.existsSync(log)) return;
  const descriptor = openNoFollow(log, fs.constants.O_RDWR);
  try {
    const { size } = fs.fstatSync(descriptor);
    const tail = Buffer.alloc(Math.min(size, MAX_LINE_BYTES));
    const start = size - tail.length;
    fs.readSync(descriptor, tail, 0, tail.length, start);
    fs.ftruncateSync(descriptor, start + tail.lastIndexOf('\n') + 1);
  } finally {
    fs.closeSync(descriptor);
  }
}

function unusable(folder: string, error: unknown): SplitError {
  const reason = codeOf(error) === 'ENOTDIR' ? 'part of the path is a file' : (error as Error).message;
  return new SplitError(`Cannot make the run's folder ${folder}: ${reason}; choose another with --out`, {
    cause: error,
  });
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

/** Whether a folder is that of a training which ended before its first checkpoint. */
function isWithoutCheckpoint(folder: string): boolean {
  const names = filesIn(folder);
  return names.includes('config.json') && !names.some(isWeightsName) && stepsIn(checkpointsFolder(folder)).length === 0;
}

function nameTaken(folder: string): ConfigError {
  const process = trainingProcess(folder);
  const isFruitless = !process && isWithoutCheckpoint(folder);
  const found = process ? `, and ${process} trains in it` : isFruitless ? ', and has no checkpoint yet' : '';
  const remedy = isFruitless ? 'train it again from step 1 with --resume auto, delete it, or ' : '';
  return new ConfigError(
    `Cannot use ${folder} for a new run: it exists already${found}; ${remedy}choose another --run`,
  );
}
