/**
 * Reads which images a folder holds: `train/` and `val/` with a folder for each class, as ImageNet is kept, or a `val/`
 * with all images side by side and a file of their labels.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { DataError } from '../errors.js';
import type { FileDataset, ImageFiles } from './files.js';
import { packNames } from './names.js';
import { findLabelsFile, LABEL_FILES, readLabels } from './val-labels.js';

const IMAGE_NAME = /\.(jpe?g|png|gif|webp)$/i;
/** Labels have 16 bits. */
export const MAX_CLASSES = 65_536;
const EXPECTED = 'class folders with images under train and the same ones under val';

/** Whether the folder looks like one of image files, whole or not. */
export function isImageFolder(folder: string): boolean {
  return isFolder(join(folder, 'train')) || isFolder(join(folder, 'val'));
}

/** The classes: the names of train's folders, sorted by their characters' codes. Nothing when it has no such folder. */
export function imageClasses(folder: string): string[] {
  return isFolder(join(folder, 'train')) ? classFolders(join(folder, 'train')) : [];
}

/**
 * Lists the images of a folder and their labels; opens none. Names that start with a dot are passed over.
 * @throws DataError for a folder without classes or images, or with other classes in `val` than in `train`.
 */
export function readImageFolder(folder: string): FileDataset {
  for (const part of ['train', 'val']) {
    if (!isFolder(join(folder, part))) throw refusal(folder, `there is no folder ${part}`);
  }
  const classNames = trainClasses(folder);
  const ignored = { count: 0 };
  const byClass = classNames.map((name) => listImages(folder, `train/${name}`, ignored));
  const empty = byClass.findIndex((paths) => paths.length === 0);
  if (empty >= 0) throw refusal(folder, `the class folder train/${classNames[empty]} holds no image`);
  const val = classFolders(join(folder, 'val'));
  const test = val.length > 0 ? testByClass(folder, classNames, val, ignored) : flatTest(folder, classNames, ignored);
  if (test.count === 0) throw refusal(folder, 'val holds no image');
  return {
    kind: 'files',
    name: basename(resolve(folder)),
    source: folder,
    folder,
    train: filesOf(byClass),
    test,
    classNames,
    ignored: ignored.count,
  };
}

function trainClasses(folder: string): string[] {
  const classes = classFolders(join(folder, 'train'));
  if (classes.length === 0 && listImages(folder, 'train', { count: 0 }).length > 0) {
    throw refusal(folder, 'train holds images side by side, and no class folders');
  }
  if (classes.length < 2) throw refusal(folder, `train holds ${count(classes.length, 'class folder')}, too few`);
  if (classes.length > MAX_CLASSES) {
    throw refusal(folder, `train holds ${classes.length} class folders, more than ${MAX_CLASSES}`);
  }
  return classes;
}

function testByClass(
  folder: string,
  classNames: readonly string[],
  val: readonly string[],
  ignored: { count: number },
): ImageFiles {
  const [lacking, added] = [missing(classNames, val), missing(val, classNames)];
  if (lacking.length > 0 || added.length > 0) {
    const parts = [
      ...(lacking.length > 0 ? [`val lacks ${some(lacking)}`] : []),
      ...(added.length > 0 ? [`val has ${some(added)}, which train has not`] : []),
    ];
    throw refusal(folder, `train and val have different classes: ${parts.join(', and ')}`);
  }
  return filesOf(classNames.map((name) => listImages(folder, `val/${name}`, ignored)));
}

/** All images side by side: their labels stand in a file. */
function flatTest(folder: string, classNames: readonly string[], ignored: { count: number }): ImageFiles {
  const paths = listImages(folder, 'val', ignored);
  const file = findLabelsFile(folder);
  if (paths.length > 0 && file === undefined) {
    throw new DataError(
      `Cannot use the images of ${folder}: val holds ${count(paths.length, 'image')} side by side, so nothing says their classes, expected class folders as in train, or a file of labels (${LABEL_FILES.join(', ')}) beside val, with a line "<file> <class>" for each; sort them into folders, or add that file`,
    );
  }
  if (file === undefined) return filesOf(classNames.map(() => []));
  ignored.count -= existsSync(join(folder, 'val', basename(file))) ? 1 : 0;
  const labels = readLabels(file, classNames, paths);
  return withLabels(paths, labels);
}

function filesOf(byClass: readonly (readonly string[])[]): ImageFiles {
  const paths = byClass.flat();
  const labels = byClass.flatMap((each, label) => each.map(() => label));
  return withLabels(paths, labels);
}

/** The list as it is shared with the data threads. */
export function withLabels(paths: readonly string[], labels: ArrayLike<number>): ImageFiles {
  const shared = new Uint16Array(new SharedArrayBuffer(2 * paths.length));
  shared.set(labels);
  return { count: paths.length, labels: shared, names: packNames(paths) };
}

function classFolders(folder: string): string[] {
  return entries(folder)
    .filter(({ name, isFolder }) => isFolder && !name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/**
 * Paths from `root` of the images below `folder`, sorted by their characters' codes; folders within a class count as
 * that class.
 */
function listImages(root: string, folder: string, ignored: { count: number }): string[] {
  const paths: string[] = [];
  const walk = (at: string): void => {
    for (const { name, isFolder } of entries(join(root, at))) {
      if (name.startsWith('.')) continue;
      if (isFolder) walk(`${at}/${name}`);
      else if (IMAGE_NAME.test(name)) paths.push(`${at}/${name}`);
      else ignored.count++;
    }
  };
  walk(folder);
  return paths.sort();
}

function entries(folder: string): { name: string; isFolder: boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFolder: entry.isDirectory() || (entry.isSymbolicLink() && isFolder(join(folder, entry.name))),
    }));
  } catch (error) {
    throw new DataError(
      `Cannot list the folder ${folder}: ${(error as Error).message}, expected ${EXPECTED}; check it`,
      { cause: error },
    );
  }
}

/** What the system does not let us look at, or has too long a name, is none. */
function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

function missing(from: readonly string[], among: readonly string[]): string[] {
  const there = new Set(among);
  return from.filter((name) => !there.has(name));
}

function some(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function refusal(folder: string, found: string): DataError {
  return new DataError(
    `Cannot use the images of ${folder}: ${found}, expected ${EXPECTED}; bring it into that form, docs/data.md says more`,
  );
}
