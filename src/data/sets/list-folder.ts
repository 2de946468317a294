/** Looks at what a folder holds. Trouble of the system is an error, and no folder that is empty or not there. */
import { readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, systemMessage } from '../../errors.js';
import { isOfSystem, troubleAt } from '../images/retry.js';

export interface Entry {
  name: string;
  isFolder: boolean;
  isLink: boolean;
  /** Why a link cannot be followed, when it cannot. */
  lost?: string | undefined;
}

/** What a folder holds. @throws DataError for one that cannot be listed. */
export function entriesOf(folder: string): Entry[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => {
      const { name } = entry;
      if (!entry.isSymbolicLink()) return { name, isLink: false, isFolder: entry.isDirectory() };
      const { isFolder, lost } = followed(join(folder, name));
      return { name, isLink: true, isFolder, lost };
    });
  } catch (error) {
    throw unlisted(folder, error);
  }
}

/** Names of the folders in a folder, but hidden ones, sorted by their characters' codes. @throws DataError as above. */
export function foldersIn(folder: string): string[] {
  return foldersOf(entriesOf(folder));
}

/** Names of those entries that are folders, but hidden ones, sorted by their characters' codes. */
export function foldersOf(entries: readonly Entry[]): string[] {
  return entries
    .filter(({ name, isFolder }) => isFolder && !name.startsWith('.'))
    .map(({ name }) => name)
    .sort();
}

/** Names in a folder, sorted; none where there is none, or it may not be looked into. @throws DataError as above. */
export function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isOfSystem(error)) throw unlisted(folder, error);
    return [];
  }
}

/** Whether there is a folder. What may not be looked at, or has too long a name, is none. @throws DataError as above. */
export function isFolder(path: string): boolean {
  return followed(path).isFolder;
}

/** Whether there is something that can be opened, as `existsSync` says it. @throws DataError as above. */
export function isThere(path: string): boolean {
  return followed(path).lost === undefined;
}

/** What there is behind a path. */
function followed(path: string): Pick<Entry, 'isFolder' | 'lost'> {
  try {
    return { isFolder: statSync(path).isDirectory() };
  } catch (error) {
    if (isOfSystem(error)) throw unlisted(path, error); // else a class would be gone in silence
    return { isFolder: false, lost: systemMessage(error as Error) };
  }
}

/** Where a link leads; undefined of what is no link. @throws DataError as above. */
export function targetOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (isOfSystem(error)) throw unlisted(path, error);
    return undefined;
  }
}

/** Why a link cannot be followed, where there is one that cannot. */
export function lostAt(path: string): string | undefined {
  const { lost } = followed(path);
  return lost !== undefined && targetOf(path) !== undefined ? lost : undefined;
}

/** The path of a folder without links. @throws DataError for one that is not there. */
export function realOf(folder: string): string {
  try {
    return realpathSync.native(folder);
  } catch (error) {
    throw unlisted(folder, error);
  }
}

/** The error for a link that leads nowhere and has the name of something that is wanted. */
export function lostLink(root: string, link: string, lost: string): DataError {
  return new DataError(
    `Cannot use the images of ${root}: the link ${link} leads to ${targetOf(join(root, link))}, and cannot be followed (${lost}), expected a folder behind it; mount its disk, or take the link away`,
  );
}

function unlisted(folder: string, error: unknown): DataError {
  if (error instanceof DataError) return error;
  if (isOfSystem(error)) return troubleAt(folder, error as NodeJS.ErrnoException);
  return new DataError(
    `Cannot list the folder ${folder}: ${systemMessage(error as Error)}, expected a folder that can be read; check it`,
    { cause: error },
  );
}
