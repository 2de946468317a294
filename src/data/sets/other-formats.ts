/** Recognizes image data in formats that are not read, and says how to convert them. */
import { basename, dirname, join } from 'node:path';
import { DataError, truncate } from '../../errors.js';
import { nearest } from '../../nearest.js';
import { shellWord } from '../../printable.js';
import { HEIC_ENDING } from '../images/heic.js';
import { isCifar } from './cifar.js';
import { isIdxFolder } from './idx-files.js';
import { describeNoFolder, exists, foldersIn, isFolder, namesIn, partsOf } from './list-folder.js';
import { IMAGE_ENDING } from './walk.js';

const WRITE_IMAGES = 'write the images into class folders';

const FORMATS: readonly [names: RegExp, what: string, remedy?: string][] = [
  [
    /\.tar$/i,
    "tar files that `data prepare` did not write, such as WebDataset's shards",
    'unpack them into class folders: docs/data.md has the lines for shards with .jpg and .cls',
  ],
  [/\.(zip|tgz|tar\.(gz|bz2|xz|zst)|7z|rar)$/i, 'archives', 'unpack them, and name the folder that has train and val'],
  [/\.(parquet|arrow)$/i, 'Parquet or Arrow tables'],
  [/\.tfrecords?(-|$)/i, 'TFRecord files'],
  [/^data\.mdb$/i, 'an LMDB database'],
  [
    /^(data_batch_\d|test_batch)(\.mat)?$/i,
    "CIFAR-10's version for another program",
    `take its binary version, whose files end in .bin, or ${WRITE_IMAGES}`,
  ],
  [/\.(npz|npy|h5|hdf5|mat|pkl|pickle)$/i, 'arrays of another program'],
];

/** Folders that are searched. */
const MAX_FOLDERS = 100;

/**
 * The error for a folder or file with images in another format; undefined if it is no known format.
 * @param path may not exist.
 */
export function otherFormatError(path: string): DataError | undefined {
  if (!isFolder(path)) {
    const [, what, remedy = WRITE_IMAGES] = FORMATS.find(([names]) => names.test(basename(path))) ?? [];
    return what && exists(path) ? refusal(path, `it is a file of the kind ${what}`, remedy) : undefined;
  }
  const names = namesIn(path).filter((name) => !name.startsWith('.'));
  for (const [pattern, what, remedy = WRITE_IMAGES] of FORMATS) {
    const found = names.filter((name) => pattern.test(name));
    const more = found.length > 1 ? `, … (${found.length})` : '';
    if (found.length > 0) return refusal(path, `it holds ${what} (${found[0]}${more})`, remedy);
  }
  if (names.length === 0) return undefined;
  const folders = foldersIn(path).slice(0, MAX_FOLDERS);
  const inner = folders.map((name) => join(path, name)).find(isDataset);
  if (inner !== undefined) return refusal(path, `it is in the folder ${inner}`, `name that with --data`);
  const classes = classFoldersOf(path);
  const [only] = classes;
  if (only === undefined) return undefined;
  if (classes.length === 1) {
    if (partsOf(path).val === only) return undefined;
    return new DataError(
      `Cannot use the data in ${path}: it has images of one class only, in the folder ${only}, expected two classes or more; add a folder for each other class`,
    );
  }
  const found = `it has class folders (${classes.slice(0, 2).join(', ')}, …), but no train and val`;
  return refusal(path, found, splitAdvice(path));
}

/** The error for a path that is no folder, or does not exist, with the nearest folder beside it; undefined for a folder. */
export function noFolderError(path: string): DataError | undefined {
  const found = describeNoFolder(path);
  if (found === undefined) return undefined;
  const parent = dirname(path);
  const near = exists(path) || !isFolder(parent) ? undefined : nearest(truncate(basename(path)), foldersIn(parent));
  const hint = near === undefined ? '' : ` (did you mean ${join(parent, near)}?)`;
  return new DataError(
    `Cannot use the data in ${path}: ${found}${hint}, expected a folder with images in class folders, shards that \`data prepare --pack\` wrote, IDX files, or CIFAR-10's binary version; name another`,
  );
}

/** What to do with class folders that nobody has divided into training and test images. */
export function splitAdvice(folder: string): string {
  return `use a part of each class for tests with --val-share 0.2, or divide the images into two folders: data split ${shellWord(folder)} --out OUT`;
}

/** Names of the folders with images in a folder, of the first {@link MAX_FOLDERS}. */
export function classFoldersOf(path: string): string[] {
  if (!isFolder(path)) return [];
  const isImage = (name: string) => IMAGE_ENDING.test(name) || HEIC_ENDING.test(name);
  const isClass = (name: string) => namesIn(join(path, name)).some(isImage);
  return foldersIn(path).slice(0, MAX_FOLDERS).filter(isClass);
}

function isDataset(folder: string): boolean {
  const { train, val } = partsOf(folder);
  return (train !== undefined && val !== undefined) || isIdxFolder(folder) || isCifar(folder);
}

function refusal(path: string, found: string, remedy: string): DataError {
  return new DataError(
    `Cannot use the data in ${path}: ${found}, expected images in class folders under train and val, shards that \`data prepare --pack\` wrote, IDX files, or CIFAR-10's binary version; ${remedy}`,
  );
}
