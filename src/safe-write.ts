/** Files that are written where others may have put something before: in the folder of a run that somebody sent. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemMessage } from './errors.js';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;

/** To write a file anew: `openSync`'s `w`. */
export const OVERWRITE = O_WRONLY | O_CREAT | O_TRUNC;

/**
 * Opens a file, but not through a link, which would lead to another one, and no pipe, which would be waited for.
 * @param flags of `open(2)`.
 * @returns the descriptor, the caller's to close.
 * @throws Error, the system's or one of the same form that says what the file is.
 */
export function openNoFollow(file: string, flags: number): number {
  let descriptor: number;
  try {
    descriptor = openSync(file, flags | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw refusal(file, 'a link', code);
    if (code === 'ENXIO') throw refusal(file, 'no file', code); // a pipe that nobody reads
    throw error;
  }
  const stats = fstatSync(descriptor);
  // Only root makes devices, and /dev/full is one.
  if (stats.isFile() || stats.isCharacterDevice()) return descriptor;
  closeSync(descriptor);
  throw refusal(file, 'no file', 'ENXIO');
}

/** `writeFileSync` by way of {@link openNoFollow}. */
export function writeNoFollow(file: string, data: string | Uint8Array): void {
  const descriptor = openNoFollow(file, OVERWRITE);
  try {
    writeFileSync(descriptor, data);
  } finally {
    closeSync(descriptor);
  }
}

/** What is written to try a place: a full disk still takes the name of a file. */
const TRIED_BYTES = 4096;

/**
 * Finds out whether a file can be written, before long work whose result it is to take. Leaves nothing behind, and a file
 * that is there as it is; a pipe or a device is not tried.
 * @throws the system's error when it cannot.
 */
export function assertFileWritable(file: string): void {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat && !stat.isFile() && !stat.isDirectory()) return;
  if (stat) {
    closeSync(openSync(file, O_WRONLY));
    return;
  }
  if (lstatSync(file, { throwIfNoEntry: false })) {
    assertFileWritable(resolve(dirname(file), readlinkSync(file))); // a link to a file that is yet to come
    return;
  }
  const descriptor = openSync(file, 'wx');
  try {
    writeFileSync(descriptor, Buffer.alloc(TRIED_BYTES));
  } finally {
    closeSync(descriptor);
    rmSync(file, { force: true });
  }
}

/**
 * Finds out whether a folder can be written to, or made, as {@link assertFileWritable} does: makes a file in it, or in the one in which
 * it is to be made, and removes it.
 * @throws the system's error when it cannot, without a path.
 */
export function assertFolderWritable(folder: string): void {
  try {
    let at = resolve(folder);
    while (!statSync(at, { throwIfNoEntry: false }) && dirname(at) !== at) at = dirname(at);
    assertFileWritable(join(at, `.${randomBytes(6).toString('hex')}.unfinished`));
  } catch (error) {
    // That file is nothing that people know.
    throw Object.assign(new Error(systemMessage(error as Error), { cause: error }), {
      code: (error as NodeJS.ErrnoException).code,
    });
  }
}

function refusal(file: string, what: string, code: string): Error {
  const error = new Error(`${basename(file)} is ${what}, expected a plain file or none`);
  return Object.assign(error, { code, syscall: 'open' });
}
