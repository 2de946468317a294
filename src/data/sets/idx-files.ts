/** Where the four files of a data set in IDX lie, by whatever name they are handed round. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '../../errors.js';
import { namesIn } from './list-folder.js';

/** The four files' names, each also with `.gz`. */
export const DATA_FILES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

export type DataFile = (typeof DATA_FILES)[number];

/**
 * What is read as one of the four: a dot for the hyphen, as 7-Zip unpacks them, `test` for `t10k`, and a name of the data
 * set in front, as EMNIST has it.
 */
const SPELLING = /^(.*?)[-_.]?(train|t10k|test)-(images|labels)[-.]idx([13])-ubyte(\.gz)?$/i;

/** Paths of those of the four files that are there. */
export type Found = Partial<Record<DataFile, string>>;

/**
 * Finds the files of a folder, each also in a folder of its own name.
 * @throws DataError for a folder with several data sets.
 */
export function findIdx(folder: string): Found {
  const sets = setsIn(folder);
  const usual = sets.get('');
  const whole = [...sets.entries()].filter(([, set]) => isWhole(set));
  if (usual && (isWhole(usual) || whole.length === 0)) return usual;
  if (whole.length > 1) {
    throw new DataError(
      `Cannot use the data in ${folder}: it holds ${whole.length} data sets (${whole.map(([prefix]) => prefix).join(', ')}), expected one; put the four files of one into a folder of their own`,
    );
  }
  return whole[0]?.[1] ?? [...sets.values()][0] ?? {};
}

/**
 * Finds the files of Fashion-MNIST: those with no name in front, or with one that says so. Others in the same folder, such
 * as EMNIST's, are other data. Nothing of a folder that cannot be looked into: a search goes on elsewhere.
 */
export function findFashion(folder: string): Record<DataFile, string> | undefined {
  let sets: ReadonlyMap<string, Found>;
  try {
    sets = setsIn(folder);
  } catch {
    return undefined;
  }
  const named = [...sets.entries()].filter(([prefix]) => /fashion/i.test(prefix)).map(([, set]) => set);
  return [sets.get(''), ...named].find((set) => set !== undefined && isWhole(set)) as
    | Record<DataFile, string>
    | undefined;
}

/** The data sets of a folder by the names in front. */
function setsIn(folder: string): Map<string, Found> {
  const sets = new Map<string, Found>();
  for (const name of namesIn(folder)) {
    const spelt = SPELLING.exec(name);
    const file = spelt && fileAt(join(folder, name));
    if (!file) continue;
    const [, prefix = '', part = '', what = '', dimensions = '', gz] = spelt;
    const key = `${part.toLowerCase() === 'train' ? 'train' : 't10k'}-${what.toLowerCase()}-idx${dimensions}-ubyte`;
    if (!isDataFile(key)) continue;
    const set = sets.get(prefix) ?? {};
    // The plain one counts, and of the plain ones that with the usual name.
    if (set[key] === undefined || name === key || (gz === undefined && set[key]!.endsWith('.gz'))) set[key] = file;
    sets.set(prefix, set);
  }
  return sets;
}

/** Whether a folder holds a data set of four IDX files, or several. */
export function isIdxFolder(folder: string): boolean {
  return [...setsIn(folder).values()].some(isWhole);
}

/** Whether all four are there. */
export function isWhole(found: Found): found is Record<DataFile, string> {
  return DATA_FILES.every((name) => found[name] !== undefined);
}

function isDataFile(name: string): name is DataFile {
  return (DATA_FILES as readonly string[]).includes(name);
}

/** The file of that path, or the one of such a name in the folder of that path. */
function fileAt(path: string): string | undefined {
  const stat = statOf(path);
  if (!stat?.isDirectory()) return stat && path;
  return namesIn(path)
    .filter((name) => SPELLING.test(name))
    .map((name) => join(path, name))
    .find((each) => statOf(each)?.isFile());
}

function statOf(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
