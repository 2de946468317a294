/** Brings a data set into a folder, completely or not at all. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { DataError, systemMessage } from '../../errors.js';
import type { FetchableSet } from './sets.js';
import { type Place, ToolError } from './tools.js';

/**
 * Whether a folder has the set: every file, with the right content.
 * @throws DataError if it has other files, which would have to go.
 */
export async function hasSet(folder: string, { title, files }: FetchableSet): Promise<boolean> {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  if (names.length === 0) return false;
  for (const { name, sha256 } of files) {
    const problem = names.includes(name) ? await differs(join(folder, name), sha256) : `it lacks ${name}`;
    if (problem === undefined) continue;
    throw new DataError(
      `Cannot fetch ${title} into ${folder}: the folder is not empty, and ${problem}, expected a new folder or the complete set; remove it, or choose another with --out`,
    );
  }
  return true;
}

/**
 * Downloads a set, checks every file's content, and moves the files into place in one step.
 * @param folder does not exist, or is empty. @param place its work folder is on the same disk.
 * @throws DataError, one sentence, if it cannot be fetched or is not what was expected. Then nothing is at `folder`.
 */
export async function fetchSet(
  folder: string,
  set: FetchableSet,
  place: Place,
  say: (what: string) => void = () => {},
): Promise<void> {
  const { title, origin, byHand } = set;
  const whole = join(place.work, 'whole');
  try {
    mkdirSync(whole);
    await set.bring(whole, place, say);
    say('checking the files');
    for (const { name, sha256 } of set.files) {
      const problem = existsSync(join(whole, name)) ? await differs(join(whole, name), sha256) : `it lacks ${name}`;
      if (problem !== undefined) throw new ToolError(`${origin} is not what it was: ${problem}`);
    }
    if (existsSync(folder)) rmdirSync(folder);
    renameSync(whole, folder);
  } catch (error) {
    const { syscall } = error as NodeJS.ErrnoException;
    if (error instanceof DataError || (!(error instanceof ToolError) && syscall === undefined)) throw error;
    const reason = error instanceof ToolError ? error.message : systemMessage(error as Error);
    throw new DataError(
      `Cannot fetch ${title} from ${origin}: ${reason}, expected its ${set.files.length} files; ${byHand}, and put the files into ${folder}`,
      { cause: error },
    );
  }
}

/** Says how a file's content differs from the one with that SHA-256; undefined if it does not. */
async function differs(file: string, sha256: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  const content = createReadStream(file);
  try {
    if (file.endsWith('.gz')) await pipeline(content, createGunzip(), hash);
    else await pipeline(content, hash);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    return `${file} is damaged (${message})`;
  }
  const found = hash.digest('hex');
  return found === sha256 ? undefined : `the SHA-256 of ${file} is ${found}, not ${sha256}`;
}
