/** The classes of a run: `classes.json` in its folder, the names by label. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import type { Dataset } from '../data/index.js';
import { CheckpointError } from '../errors.js';

/** Writes the names of the data's classes into the run's folder. @throws CheckpointError when the disk does not take it. */
export function saveClasses({ out, run }: Pick<Config, 'out' | 'run'>, { classNames }: Dataset): void {
  const folder = join(out, run);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'classes.json'), `${JSON.stringify(classNames, null, 1)}\n`);
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
  const file = join(folder, 'classes.json');
  if (dataset.kind !== 'files' || !existsSync(file)) return;
  const trained = readClasses(file);
  const label = trained.findIndex((name, i) => name !== dataset.classNames[i]);
  if (label < 0) return;
  throw new CheckpointError(
    `Cannot use the run ${folder} on ${dataset.source}: class ${label} is ${dataset.classNames[label] ?? 'missing'} there, expected ${trained[label]}, as in the run's classes.json; take data with the classes it was trained on`,
    file,
  );
}

/** The class names that a run wrote, by label. @throws CheckpointError when they are no list of texts. */
export function readClasses(file: string): string[] {
  try {
    const names: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CheckpointError(
    `Cannot read the classes in ${file}: it holds something else, expected a JSON list of names; take the file away, or train again`,
    file,
  );
}
