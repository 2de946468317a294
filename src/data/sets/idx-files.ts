/** Finds the four IDX files of a data set under the names by which they are distributed. */
import { join } from 'node:path';
import { exists, isFolder, namesIn } from './list-folder.js';

/** The four files' names, each also with `.gz`. */
export const DATA_FILES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

type DataFile = (typeof DATA_FILES)[number];
/** Paths by the files' usual names. */
export type IdxFiles = Record<DataFile, string>;

/** Also with a dot for the hyphen (7-Zip), `test` for `t10k`, or the data set's name as a prefix (EMNIST). */
const SPELLING = /^(.*?)[-_.]?(train|t10k|test)-(images|labels)[-.]idx([13])-ubyte(\.gz)?$/i;

/** Whether a folder holds a data set of four IDX files, or several. */
export function isIdxFolder(folder: string): boolean {
  return [...setsIn(folder).values()].some(isComplete);
}

/**
 * Fashion-MNIST's files in a folder: without a prefix, or with one that says so; others, such as EMNIST's, are other data.
 * Undefined if the folder cannot be read: the search continues elsewhere.
 */
export function fashionIn(folder: string): IdxFiles | undefined {
  try {
    const sets = [...setsIn(folder)].sort(([a], [b]) => Number(b === '') - Number(a === ''));
    return sets
      .filter(([prefix]) => prefix === '' || /fashion/i.test(prefix))
      .find(([, set]) => isComplete(set))?.[1] as IdxFiles | undefined;
  } catch {
    return undefined;
  }
}

/** The files of each data set in a folder, by its prefix. */
export function setsIn(folder: string): Map<string, Partial<IdxFiles>> {
  const sets = new Map<string, Partial<IdxFiles>>();
  for (const name of namesIn(folder)) {
    const spelling = SPELLING.exec(name);
    const file = spelling && fileAt(join(folder, name));
    if (!file) continue;
    const [, prefix = '', part = '', what = '', dimensions = '', gz] = spelling;
    const usual = `${part.toLowerCase() === 'train' ? 'train' : 't10k'}-${what.toLowerCase()}-idx${dimensions}-ubyte`;
    const key = DATA_FILES.find((each) => each === usual);
    if (!key) continue;
    const set = sets.get(prefix) ?? {};
    // Plain files count before gzip, and the usual name before others.
    if (set[key] === undefined || name === key || (gz === undefined && set[key].endsWith('.gz'))) set[key] = file;
    sets.set(prefix, set);
  }
  return sets;
}

export function isComplete(set: Partial<IdxFiles> | undefined): set is IdxFiles {
  return DATA_FILES.every((name) => set?.[name] !== undefined);
}

/** The file of that path, or a file with such a name in the folder of that path. */
function fileAt(path: string): string | undefined {
  if (!isFolder(path)) return exists(path) ? path : undefined;
  const inner = namesIn(path).filter((name) => SPELLING.test(name));
  return inner.map((name) => join(path, name)).find((each) => exists(each) && !isFolder(each));
}
