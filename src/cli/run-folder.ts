/** The folder of a run: `<out>/<run>`, one run's alone. */
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { ConfigError, SplitError } from '../errors.js';

/** The run's folder. */
export function runFolder({ out, run }: Pick<Config, 'out' | 'run'>): string {
  return join(out, run);
}

/**
 * The config with a name that no other run has. A name that the user gave is refused when it is taken; one that was
 * made from the time gets a number.
 * @throws ConfigError when the folder is there and not empty; SplitError when the disk does not let us look.
 */
export function claimName(config: Config, given: boolean): Config {
  if (!isTaken(runFolder(config))) return config;
  if (given) throw taken(runFolder(config));
  for (let number = 2; ; number++) {
    const next = { ...config, run: `${config.run}-${number}` };
    if (!isTaken(runFolder(next))) return Object.freeze(next);
  }
}

/**
 * Makes the folder and writes the settings into it as `config.json`.
 * @throws ConfigError when another run took the name meanwhile; SplitError when the disk does not take it.
 */
export function makeFolder(config: Config): string {
  const folder = runFolder(config);
  try {
    mkdirSync(folder, { recursive: true });
    // `wx`: of two runs that start at once under one name, one makes the file and the other fails.
    writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config, null, 2)}\n`, { flag: 'wx' });
  } catch (error) {
    if (codeOf(error) === 'EEXIST') throw taken(folder);
    throw unusable(folder, error);
  }
  return folder;
}

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
  return new ConfigError(`Cannot use ${folder} for a new run: it is there already; choose another --run`);
}
