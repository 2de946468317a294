/** The folder of a run: `<out>/<run>`, one run's alone. */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.js';
import { ConfigError, SplitError } from '../errors.js';
import { jsonText } from '../printable.js';
import { openNoFollow, writeNoFollow } from '../safe-write.js';
import { whoTrains } from './run-lock.js';

/** The run's folder. */
export function runFolder({ out, run }: Pick<Config, 'out' | 'run'>): string {
  return join(out, run);
}

/**
 * Looks whether the name can be had, before anything is made. One that was not given is made again when it is taken.
 * @throws ConfigError when it was given and its folder is there and not empty; SplitError when the disk does not let us
 * look.
 */
export function checkName(config: Config, isGiven: boolean): void {
  if (isTaken(runFolder(config)) && isGiven) throw taken(runFolder(config));
}

/**
 * Makes the run's folder, and writes the settings into it as `config.json`. A name that was made from the time gets a
 * number when another run has it, also when that run takes it at this moment.
 * @returns the settings with the name that the run got.
 * @throws ConfigError when a name that was given is taken; SplitError when the disk does not take the folder.
 */
export function makeFolder(config: Config, isGiven: boolean): Config {
  const made = isGiven ? config : makeNumbered(config);
  const folder = runFolder(made);
  try {
    mkdirSync(folder, { recursive: true });
    // `wx`: of two runs that start at once under one name, one makes the file and the other fails.
    writeFileSync(join(folder, 'config.json'), `${jsonText(made, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(folder);
    throw unusable(folder, error);
  }
  return made;
}

/**
 * Makes a folder that was not there, under the config's name or that name with a number.
 * @returns the settings with that name.
 * @throws SplitError when the disk does not take it.
 */
export function makeNumbered(config: Config): Config {
  for (let number = 1; ; number++) {
    const next = number === 1 ? config : Object.freeze({ ...config, run: `${config.run}-${number}` });
    const folder = runFolder(next);
    try {
      mkdirSync(dirname(folder), { recursive: true });
      mkdirSync(folder);
      return next;
    } catch (error) {
      // Whoever made it has it, also while it is empty yet.
      if (codeOf(error) !== 'EEXIST' || !existsSync(folder)) throw unusable(folder, error);
    }
  }
}

/**
 * The folder of a run that goes on: the settings as they are now replace those in `config.json`, and half a line at the
 * log's end, of a process that was killed or a disk that was full, is cut off.
 * @throws SplitError when the disk does not take it.
 */
export function continueFolder(config: Config): string {
  const folder = runFolder(config);
  try {
    const draft = join(folder, `config.json.${process.pid}.partial`);
    writeNoFollow(draft, `${jsonText(config, 2)}\n`);
    renameSync(draft, join(folder, 'config.json'));
    cutHalfLine(join(folder, 'log.ndjson'));
  } catch (error) {
    throw new SplitError(`Cannot go on in ${folder}: ${(error as Error).message}; make room, or let it be written to`, {
      cause: error,
    });
  }
  return folder;
}

/** Names in a folder; none where there is no folder. */
export function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return [];
    throw unusable(folder, error);
  }
}

const LINE_END = 10;

function cutHalfLine(log: string): void {
  if (!existsSync(log)) return;
  const descriptor = openNoFollow(log, constants.O_RDWR);
  try {
    let { size } = fstatSync(descriptor);
    const tail = Buffer.alloc(Math.min(size, MAX_LINE_BYTES));
    size -= tail.length;
    readSync(descriptor, tail, 0, tail.length, size);
    ftruncateSync(descriptor, size + tail.lastIndexOf(LINE_END) + 1);
  } finally {
    closeSync(descriptor);
  }
}

/** More than a line of the log has. */
const MAX_LINE_BYTES = 2 ** 20;

function isTaken(folder: string): boolean {
  try {
    return !lstatSync(folder).isDirectory() || readdirSync(folder).length > 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw unusable(folder, error); // no other name would help
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

function taken(folder: string): ConfigError {
  const who = whoTrains(folder);
  return new ConfigError(
    `Cannot use ${folder} for a new run: it is there already${who ? `, and ${who} trains in it` : ''}; choose another --run`,
  );
}
