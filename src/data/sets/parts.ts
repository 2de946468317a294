/** Which folders of a data set are its parts, whatever they are called. */
import { join } from 'node:path';
import { isFolder, lostAt, lostLink, namesIn } from './list-folder.js';

/** Names of the two parts, the first one that is there counts: in these letters, then in others. */
export const TRAIN_NAMES = ['train', 'training'] as const;
export const VAL_NAMES = ['val', 'valid', 'validation', 'test', 'testing'] as const;

/** Names of the folders as they are, of those that are there. */
export interface Parts {
  train?: string | undefined;
  val?: string | undefined;
}

/** Finds the parts of a folder; none where there is no such folder. @throws DataError when it cannot be listed. */
export function partsOf(folder: string): Parts {
  const names = namesIn(folder).filter((name) => /^(train|val|test)/i.test(name));
  const find = (wanted: readonly string[]) =>
    wanted
      .flatMap((name) => [name, ...names.filter((each) => each !== name && each.toLowerCase() === name)])
      .find((name) => names.includes(name) && isFolderBehind(folder, name));
  return { train: find(TRAIN_NAMES), val: find(VAL_NAMES) };
}

/** @throws DataError for a link that leads nowhere: a part with the next name would be taken in its place. */
function isFolderBehind(folder: string, name: string): boolean {
  const path = join(folder, name);
  const lost = lostAt(path);
  if (lost !== undefined) throw lostLink(folder, name, lost);
  return isFolder(path);
}

/** What is told where both parts are one folder, as somebody may have it to try a training out. */
export function sameRemark({ train, val }: Parts): string {
  return `${val} and ${train} are the same folder: the net is tested on the very images that it learns from, so its test figures say nothing of others`;
}

/** How the test images were found, where their folder has another name; else nothing. */
export function partsRemark({ val }: Parts): string | undefined {
  return val === undefined || val === 'val' ? undefined : `there is no folder val: the test images are those in ${val}`;
}
