/** Files that are written where others may have put something before: in the folder of a run that somebody sent. */
import { closeSync, constants, fstatSync, openSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = constants;

/** To write a file anew: `openSync`'s `w`. */
export const ANEW = O_WRONLY | O_CREAT | O_TRUNC;

/**
 * Opens a file, but not through a link, which would lead to another one, and no pipe, which would be waited for.
 * @param flags of `open(2)`.
 * @returns the descriptor, the caller's to close.
 * @throws Error, the system's or one of the same form that says what the file is.
 */
export function openOwn(file: string, flags: number): number {
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

/** `writeFileSync` by way of {@link openOwn}. */
export function writeOwn(file: string, data: string | Uint8Array): void {
  const descriptor = openOwn(file, ANEW);
  try {
    writeFileSync(descriptor, data);
  } finally {
    closeSync(descriptor);
  }
}

function refusal(file: string, what: string, code: string): Error {
  const error = new Error(`${basename(file)} is ${what}, expected a plain file or none`);
  return Object.assign(error, { code, syscall: 'open' });
}
