/**
 * Locks of the operating system (`flock`), which end with the process that holds them, however it ends. The text of a
 * locked file names the holder, only for messages: a pid means nothing on another host or in another container.
 */
import fs, { constants } from 'node:fs';
import { hostname } from 'node:os';
import { SetupError, truncate } from '../../errors.js';
import { readJson } from '../../read-json.js';
import { openNoFollow } from '../../safe-write.js';
import { bind, loadKoffi } from './koffi.js';

/** `sys/file.h`, the same on Linux and macOS. */
const LOCK_EX = 2;
const LOCK_NB = 4;
/** Far more than a {@link Holder} needs. */
const MAX_BYTES = 4096;
const MAX_NAME = 255; // the largest HOST_NAME_MAX

/**
 * Locks an open file exclusively until it is closed, at the latest by the end of the process. Does not wait.
 * @returns false if it is locked already, by this process or another.
 * @throws Error if the file system has no locks.
 */
export function tryLock(descriptor: number): boolean {
  const koffi = loadKoffi();
  if (bind(['int flock(int fd, int operation)']).flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  const { errno } = koffi.os;
  const code = koffi.errno();
  if (code === errno.EWOULDBLOCK || code === errno.EAGAIN || code === errno.EINTR) return false;
  const name = Object.keys(errno).find((each) => errno[each] === code) ?? `error ${code}`;
  throw new Error(`the file system does not lock files (${name})`);
}

export interface FileLock {
  /** Why there is no lock, on a file system without locks. */
  readonly reason?: string;
  /** For a child process that has to keep the lock until it ends, even if this process is killed earlier. */
  readonly descriptor?: number;
  release(): void;
}

/**
 * Makes the file if needed, locks it, and writes the holder into it. Does not wait.
 * @returns undefined if it is locked already; on a file system without locks an object with the `reason`.
 * @throws Error of the disk, or if there is a link or a pipe instead of the file.
 */
export function lockFile(file: string): FileLock | undefined {
  for (;;) {
    const { descriptor, isWritable } = openLock(file);
    try {
      if (!tryLock(descriptor)) {
        fs.closeSync(descriptor);
        return undefined;
      }
    } catch (error) {
      if (fs.fstatSync(descriptor).size === 0) fs.rmSync(file, { force: true }); // it was made above
      fs.closeSync(descriptor);
      if (error instanceof SetupError) throw error;
      return { reason: (error as Error).message, release() {} };
    }
    // The last holder may have removed the file after it was opened here; then its lock keeps nobody out.
    if (isSameFile(descriptor, file)) return held(file, descriptor, isWritable);
    fs.closeSync(descriptor);
  }
}

/** NFS locks only files that are open for writing. Elsewhere reading is enough, for a file that another user left. */
function openLock(file: string): { descriptor: number; isWritable: boolean } {
  try {
    return { descriptor: openNoFollow(file, constants.O_RDWR | constants.O_CREAT), isWritable: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES' || !fs.existsSync(file)) throw error;
    return { descriptor: openNoFollow(file, constants.O_RDONLY), isWritable: false };
  }
}

/** Whether a process holds a file's lock; false if that cannot be found out. */
export function isLocked(file: string): boolean {
  let descriptor: number | undefined;
  try {
    descriptor = openNoFollow(file, constants.O_RDWR); // NFS locks only files that are open for writing
    return !tryLock(descriptor);
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }
}

function held(file: string, descriptor: number, isWritable: boolean): FileLock {
  const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  try {
    if (isWritable) {
      fs.ftruncateSync(descriptor, 0);
      fs.writeSync(descriptor, `${JSON.stringify(holder)}\n`, 0);
    }
  } catch (error) {
    fs.closeSync(descriptor);
    throw error;
  }
  const release = () => {
    try {
      if (isSameFile(descriptor, file)) fs.unlinkSync(file);
    } catch {
      // A file without a lock keeps nobody out.
    }
    // Only now: a process that has opened the file by then finds that it was removed.
    fs.closeSync(descriptor);
  };
  return { descriptor, release };
}

function isSameFile(descriptor: number, file: string): boolean {
  const [own, named] = [fs.fstatSync(descriptor), fs.lstatSync(file, { throwIfNoEntry: false })];
  return named !== undefined && own.ino === named.ino && own.dev === named.dev;
}

export interface Holder {
  pid?: number;
  host?: string;
  since?: string;
}

/** The holder that a locked file names; empty if there is no file, or its text is not complete. */
export function holderIn(file: string): Holder {
  try {
    const { pid, host, since } = readJson(file, { limit: MAX_BYTES }) as Record<string, unknown>;
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== 'string' || typeof since !== 'string')
      return {};
    return { pid: pid as number, host: truncate(host, MAX_NAME), since: truncate(since) };
  } catch {
    return {};
  }
}

export function describeHolder({ pid, host }: Holder): string {
  return pid === undefined ? 'another process' : `process ${pid} on ${host}`;
}
