/** Divides class folders into a folder with `train` and `val`. */
import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, existsSync, linkSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { DataError, systemMessage } from '../errors.js';
import { assertFolderWritable, makeFolders } from '../safe-write.js';
import type { Progress } from './images/each-image.js';
import type { FileDataset, ImageFiles } from './sets/dataset.js';
import { nameAt } from './sets/names.js';
import { UNFINISHED } from './statistics/cache.js';

/** How files get to the new folder. `either`: linked where the file system can, else copied. */
export type Means = 'either' | 'link' | 'copy';

export interface Division {
  linked: number;
  copied: number;
}

/**
 * Writes the images of a data set into `out/train/CLASS/…` and `out/val/CLASS/…`. The folder gets its name once it is
 * complete. Every class has a folder in both parts.
 * @param dataset from `openUndivided`, with a choice of test images.
 * @throws DataError if the folder exists or cannot be written, or with `link` if a file cannot be linked.
 */
export function divideImages(
  { folder, train, test }: FileDataset,
  { out, part, means, progress }: { out: string; part: string; means: Means; progress?: Progress },
): Division {
  refuseFolder(folder, out);
  const unfinished = join(
    dirname(resolve(out)),
    `.${basename(resolve(out))}.${randomBytes(4).toString('hex')}${UNFINISHED}`,
  );
  const done: Division = { linked: 0, copied: 0 };
  const put = (files: ImageFiles, to: string) => {
    for (let i = 0; i < files.count; i++) {
      const name = nameAt(files.names, i);
      const path = join(unfinished, to, part === '' ? name : name.slice(part.length + 1));
      makeFolders(dirname(path));
      done[putFile(join(folder, name), path, means)]++;
      progress?.(done.linked + done.copied, train.count + test.count);
    }
  };
  try {
    put(train, 'train');
    put(test, 'val');
    for (const name of classFolders(train, part)) makeFolders(join(unfinished, 'val', name));
    renameSync(unfinished, out);
    return done;
  } catch (error) {
    if (error instanceof DataError || (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw refusal(folder, out, systemMessage(error as Error), 'expected space and permission; choose another --out');
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** @throws DataError if the folder exists, is inside the images, or cannot be made. */
function refuseFolder(folder: string, out: string): void {
  if (existsSync(out)) throw refusal(folder, out, 'it exists', 'expected a new folder; choose another --out');
  if (!/^\.\.(\/|$)/.test(relative(resolve(folder), resolve(out)))) {
    throw refusal(
      folder,
      out,
      'it is inside the folder of the images',
      'expected a folder beside it; choose another --out',
    );
  }
  try {
    assertFolderWritable(out);
  } catch (error) {
    throw refusal(folder, out, systemMessage(error as Error), 'expected a place to write to; choose another --out');
  }
}

function putFile(from: string, to: string, means: Means): keyof Division {
  if (means !== 'copy') {
    try {
      linkSync(realpathSync(from), to); // of the file itself: a relative link would lead elsewhere
      return 'linked';
    } catch (error) {
      if (means === 'link') {
        throw new DataError(
          `Cannot link ${from} to ${to}: ${systemMessage(error as Error)}, expected folders on one disk that has hard links; use --copy`,
          { cause: error },
        );
      }
    }
  }
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  return 'copied';
}

/** Names of the class folders. */
function classFolders({ count, names }: ImageFiles, part: string): Set<string> {
  const place = part === '' ? 0 : 1;
  return new Set(Array.from({ length: count }, (_, i) => nameAt(names, i).split('/')[place]!));
}

function refusal(folder: string, out: string, found: string, remedy: string): DataError {
  return new DataError(`Cannot divide the images of ${folder} into ${out}: ${found}, ${remedy}`);
}
