/** Writes files that are made piece by piece. */
import { createWriteStream, lstatSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { makeFolderOf, OVERWRITE, openNoFollow } from '../safe-write.js';
import { explained } from './explain.js';

/**
 * Writes a file from the start. If that fails, for example on a full disk, half a file is removed.
 * @param advice for the message. @throws SplitError that names the file, if it cannot be written; what `pieces` throws.
 */
export async function streamToFile(
  file: string,
  pieces: AsyncIterable<string | Uint8Array>,
  advice: string,
): Promise<void> {
  const descriptor = explained(`write ${file}`, advice, () => {
    makeFolderOf(file);
    return openNoFollow(file, OVERWRITE);
  });
  try {
    await pipeline(Readable.from(pieces), createWriteStream('', { fd: descriptor }));
  } catch (error) {
    if (lstatSync(file, { throwIfNoEntry: false })?.isFile()) rmSync(file, { force: true }); // /dev/full stays
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    explained(`write ${file}`, advice, () => {
      throw error;
    });
  }
}
