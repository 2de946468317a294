/** Writes files in folders from other people, where a link or a pipe may have the name of the file. */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { systemMessage } from './errors.js';

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_TRUNC, O_WRONLY } = fs.constants;

/** The flags to write a file from the start, as `w` of `openSync`. */
export const OVERWRITE = O_WRONLY | O_CREAT | O_TRUNC;

/**
 * Opens a file. Refuses a link, which would lead to another file, and a pipe, which would block.
 * @param flags of `open(2)`. @returns the descriptor; the caller closes it.
 * @throws Error of the system, or of the same form.
 */
export function openNoFollow(file: string, flags: number): number {
  let descriptor: number;
  try {
    descriptor = fs.openSync(file, flags | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw refusal(file, 'a link', code);
    if (code === 'ENXIO') throw refusal(file, 'not a file', code); // a pipe without a reader
    throw error;
  }
  const stats = fs.fstatSync(descriptor);
  // Only root can make devices. /dev/full is one.
  if (stats.isFile() || stats.isCharacterDevice()) return descriptor;
  fs.closeSync(descriptor);
  throw refusal(file, 'not a file', 'ENXIO');
}

/** `writeFileSync` through {@link openNoFollow}. */
export function writeNoFollow(file: string, data: string | Uint8Array): void {
  const descriptor = openNoFollow(file, OVERWRITE);
  try {
    fs.writeFileSync(descriptor, data);
  } finally {
    fs.closeSync(descriptor);
  }
}

/**
 * Writes a file as a whole, in place of one that exists: another process sees the old file or the new one.
 * @throws Error of the system; then the old file is as it was.
 */
export function replaceFile(file: string, data: string | Uint8Array): void {
  const unfinished = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.unfinished`);
  try {
    writeNoFollow(unfinished, data);
    fs.renameSync(unfinished, file);
  } catch (error) {
    fs.rmSync(unfinished, { force: true });
    throw error;
  }
}

/**
 * Moves a finished folder into the place of one that may be there, which is removed then. At every moment both are whole, the
 * old one beside its place if the process is killed in between.
 * @throws Error of the system; then the old folder is as it was.
 */
export function replaceFolder(finished: string, place: string): void {
  const old = `${place}.${process.pid}.replaced`;
  const isThere = fs.existsSync(place);
  if (isThere) fs.renameSync(place, old);
  try {
    fs.renameSync(finished, place);
  } catch (error) {
    if (isThere) fs.renameSync(old, place);
    throw error;
  }
  if (isThere) fs.rmSync(old, { recursive: true, force: true });
}

/** Makes the folder of a file that a user names, unless it is there. @throws Error of the system. */
export function makeFolderOf(file: string): void {
  makeFolders(dirname(resolve(file)));
}

/**
 * Makes a folder that a user names, and those above it, unless they are there. Node.js's `recursive` never ends where a folder
 * exists and the system refuses folders in it with ENOENT: in `/proc`, or where autofs mounts home folders.
 * @throws Error of the system.
 */
export function makeFolders(folder: string): void {
  if (isFolder(folder)) return;
  const above = dirname(resolve(folder));
  if (!fs.existsSync(above)) makeFolders(above);
  try {
    fs.mkdirSync(folder);
  } catch (error) {
    if (!isFolder(folder)) throw error; // another process may have made it
  }
}

function isFolder(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** A full disk can still have room for an empty file. */
const TRIAL_BYTES = 4096;

/**
 * Checks that a file can be written, before long work. Its folder need not exist: {@link makeFolderOf} makes it. Does not
 * change anything, and does not try a pipe or a device.
 * @throws Error of the system if the file cannot be written.
 */
export function assertFileWritable(file: string): void {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (stat && !stat.isFile() && !stat.isDirectory()) return;
  if (stat) {
    fs.closeSync(fs.openSync(file, O_WRONLY));
    return;
  }
  if (fs.lstatSync(file, { throwIfNoEntry: false })) {
    assertFileWritable(resolve(dirname(file), fs.readlinkSync(file))); // a link to a file that does not exist yet
    return;
  }
  if (!fs.existsSync(dirname(resolve(file)))) {
    assertFolderWritable(dirname(resolve(file)));
    return;
  }
  const descriptor = fs.openSync(file, 'wx');
  try {
    fs.writeFileSync(descriptor, Buffer.alloc(TRIAL_BYTES));
  } finally {
    fs.closeSync(descriptor);
    fs.rmSync(file, { force: true });
  }
}

/**
 * Checks that files can be made in a folder, which need not exist yet.
 * @throws Error of the system, without a path, if they cannot.
 */
export function assertFolderWritable(folder: string): void {
  try {
    let at = resolve(folder);
    while (!fs.statSync(at, { throwIfNoEntry: false }) && dirname(at) !== at) at = dirname(at);
    assertFileWritable(join(at, `.${randomBytes(6).toString('hex')}.unfinished`));
  } catch (error) {
    // The path would be that of the trial file, which people do not know.
    throw Object.assign(new Error(systemMessage(error as Error), { cause: error }), {
      code: (error as NodeJS.ErrnoException).code,
    });
  }
}

function refusal(file: string, what: string, code: string): Error {
  const error = new Error(`${basename(file)} is ${what}, expected a plain file, or no file`);
  return Object.assign(error, { code, syscall: 'open' });
}
