/** Folders that hold images in a form that is not read: what they are, and the way from there. */
import { basename, join } from 'node:path';
import { DataError } from '../../errors.js';
import { isIdxFolder } from './idx-files.js';
import { foldersIn, isFolder, isThere, namesIn } from './list-folder.js';
import { partsOf } from './parts.js';
import { IMAGE_ENDING } from './walk.js';

/** Files by their names: what they are, and what to do. */
const KINDS: readonly { names: RegExp; what: string; remedy: string }[] = [
  {
    names: /\.tar$/i,
    what: "tar files that `data prepare` did not write, such as WebDataset's shards",
    remedy: 'unpack them into class folders: docs/data.md has the lines for shards with .jpg and .cls',
  },
  {
    names: /\.(zip|tgz|tar\.(gz|bz2|xz|zst)|7z|rar)$/i,
    what: 'archives',
    remedy: 'unpack them, and name the folder that has train and val',
  },
  { names: /\.(parquet|arrow)$/i, what: 'tables of Parquet or Arrow', remedy: 'write their images into class folders' },
  { names: /\.tfrecords?(-|$)/i, what: 'TFRecord files', remedy: 'write their images into class folders' },
  { names: /^data\.mdb$/i, what: 'an LMDB database', remedy: 'write its images into class folders' },
  {
    names: /\.(npz|npy|h5|hdf5|mat|pkl|pickle)$|^(data|test)_batch/i,
    what: 'arrays of another program',
    remedy: 'write their images into class folders',
  },
];

/** Folders that are looked into. */
const MOST_FOLDERS = 100;

/**
 * The error for a folder of images in another form; nothing when it is in none that is known.
 * @param folder there or not.
 */
export function recognised(folder: string): DataError | undefined {
  if (!isFolder(folder)) return isThere(folder) ? ofFile(folder) : undefined;
  const names = namesIn(folder).filter((name) => !name.startsWith('.'));
  for (const kind of KINDS) {
    const found = names.filter((name) => kind.names.test(name)).sort();
    if (found.length > 0) return ofKind(folder, found, kind);
  }
  if (names.length === 0) return undefined;
  const folders = foldersIn(folder).slice(0, MOST_FOLDERS);
  const inner = folders.map((name) => join(folder, name)).find(isDataset);
  if (inner !== undefined) return refusal(folder, `it is in the folder ${inner}`, `name that with --data`);
  const classes = folders.filter((name) => namesIn(join(folder, name)).some((each) => IMAGE_ENDING.test(each)));
  if (classes.length < 2) return undefined;
  return refusal(
    folder,
    `it has class folders (${classes.slice(0, 2).join(', ')}, …), but no train and val`,
    'put them into a folder train, and some images of each class into the same folders under val',
  );
}

function isDataset(folder: string): boolean {
  const { train, val } = partsOf(folder);
  return (train !== undefined && val !== undefined) || isIdxFolder(folder);
}

function ofFile(file: string): DataError | undefined {
  const kind = KINDS.find(({ names }) => names.test(basename(file)));
  return kind && refusal(file, `it is a file, of the kind of ${kind.what}`, kind.remedy);
}

function ofKind(folder: string, found: readonly string[], { what, remedy }: (typeof KINDS)[number]): DataError {
  const more = found.length > 1 ? `, … (${found.length})` : '';
  return refusal(folder, `it holds ${what} (${found[0]}${more})`, remedy);
}

function refusal(folder: string, found: string, remedy: string): DataError {
  return new DataError(
    `Cannot use the data in ${folder}: ${found}, expected images in class folders under train and val, shards that \`data prepare --pack\` wrote, or IDX files; ${remedy}`,
  );
}
