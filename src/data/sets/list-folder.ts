/** Lists folders. A system fault is an error, so that no folder seems empty or missing because of one. */
import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, systemMessage } from '../../errors.js';
import { describeMissing } from '../../file-kind.js';
import { isSystemFault, listingFault } from '../images/retry.js';
import type { ListedEntry, ListedFolders } from './list-ahead.js';

export interface Entry {
  name: string;
  isFolder: boolean;
  isLink: boolean;
  /** Why a link cannot be followed. */
  broken?: string | undefined;
}

/**
 * Calls `look`, and `otherwise` for an error of the path.
 * @throws SystemError for a system fault; DataError without `otherwise`.
 */
function lookAt<T>(path: string, look: () => T, otherwise?: (error: Error) => T): T {
  try {
    return look();
  } catch (error) {
    if (error instanceof DataError) throw error;
    if (isSystemFault(error)) throw listingFault(path, error as NodeJS.ErrnoException);
    if (otherwise) return otherwise(error as Error);
    throw new DataError(
      `Cannot list the folder ${path}: ${systemMessage(error as Error)}, expected a folder that can be read; check it`,
      { cause: error },
    );
  }
}

/** @param listed folders that were listed ahead. */
export function entriesOf(folder: string, listed?: ListedFolders): Entry[] {
  const entries: readonly ListedEntry[] = listed?.take(folder) ?? list(folder);
  return entries.map((entry) => (entry.isLink ? { ...entry, ...follow(join(folder, entry.name)) } : entry));
}

function list(folder: string): ListedEntry[] {
  return lookAt(folder, () => readdirSync(folder, { withFileTypes: true })).map((entry) => {
    return { name: entry.name, isFolder: entry.isDirectory(), isLink: entry.isSymbolicLink() };
  });
}

/** Names of the folders, without hidden ones, sorted by code units. */
export function foldersAmong(entries: readonly Entry[]): string[] {
  return entries
    .filter(({ name, isFolder }) => isFolder && !name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

export function foldersIn(folder: string): string[] {
  return foldersAmong(entriesOf(folder));
}

/** Sorted names in a folder; empty if there is no such folder or it may not be read. */
export function namesIn(folder: string): string[] {
  const look = () => readdirSync(folder).sort();
  return lookAt(folder, look, () => []);
}

function follow(path: string): Pick<Entry, 'isFolder' | 'broken'> {
  const look = (): ReturnType<typeof follow> => ({ isFolder: statSync(path).isDirectory() });
  return lookAt(path, look, (error) => ({ isFolder: false, broken: systemMessage(error) }));
}

export function isFolder(path: string): boolean {
  return follow(path).isFolder;
}

/** Like `existsSync`, except for system faults. */
export function exists(path: string): boolean {
  return follow(path).broken === undefined;
}

/** Where a link leads; undefined if the path is not a link. */
export function linkTarget(path: string): string | undefined {
  const look = (): string | undefined => readlinkSync(path);
  return lookAt(path, look, () => undefined);
}

/** Why a link cannot be followed; undefined if it can, or the path is not a link. */
function brokenLink(path: string): string | undefined {
  const { broken } = follow(path);
  return broken !== undefined && linkTarget(path) !== undefined ? broken : undefined;
}

/** Why a path is not a folder; undefined if it is one. */
export function describeNoFolder(path: string): string | undefined {
  if (isFolder(path)) return undefined;
  if (exists(path)) return 'it is a file, not a folder';
  return brokenLink(path) === undefined ? 'there is no such folder' : describeMissing(path);
}

/** The path of a folder without links. @throws DataError if it does not exist. */
export function realPath(folder: string): string {
  return lookAt(folder, () => realpathSync.native(folder));
}

/** The error for a broken link instead of a folder that is needed. */
export function brokenLinkError(root: string, link: string, broken: string): DataError {
  return new DataError(
    `Cannot use the images of ${root}: the link ${link} leads to ${linkTarget(join(root, link))}, and cannot be followed (${broken}), expected a folder behind it; mount its disk, or remove the link`,
  );
}

/** Names of the two parts of a data set; the first one that exists counts, in any case. */
export const TRAIN_NAMES = ['train', 'training'] as const;
export const VAL_NAMES = ['val', 'valid', 'validation', 'test', 'testing'] as const;

/**
 * Folder names of the parts that exist.
 * @throws DataError for a broken link: a part with the next name would be used in its place.
 */
export function partsOf(folder: string) {
  const names = namesIn(folder).filter((name) => /^(train|val|test)/i.test(name));
  const isPart = (name: string) => {
    const broken = brokenLink(join(folder, name));
    if (broken !== undefined) throw brokenLinkError(folder, name, broken);
    return isFolder(join(folder, name));
  };
  const find = (wanted: readonly string[]) =>
    wanted
      .flatMap((name) => [name, ...names.filter((each) => each !== name && each.toLowerCase() === name)])
      .find((name) => names.includes(name) && isPart(name));
  return { train: find(TRAIN_NAMES), val: find(VAL_NAMES) };
}
