/**
 * Locks that the system holds (`flock`): they end with the process that has them, however it ends, so that no pid and no
 * age of a file has to be judged, which mean nothing on another host or in another container. The text of a locked file
 * says who has it, for messages alone.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { SetupError, truncate } from '../../errors.js';
import { readJson } from '../../read-json.js';
import { openNoFollow } from '../../safe-write.js';
import { bind, loadKoffi } from './koffi.js';

/** `sys/file.h`, the same on Linux and macOS. */
const LOCK_EX = 2;
const LOCK_NB = 4;
/** Far more than a {@link Holder} has. */
const MAX_BYTES = 4096;
/** `HOST_NAME_MAX`, where it is largest. */
const MAX_NAME = 255;

/**
 * Locks an open file for itself alone, until it is closed; the process's end closes it. Does not wait.
 * @returns false when it is locked by way of another opening of the file, of this process or another.
 * @throws Error where the file system has no locks.
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

/** A lock that is held. */
export interface FileLock {
  /** Why there is none, on a file system without locks. */
  readonly reason?: string;
  /** For a program that is to keep the lock until it ends, also when this process is killed meanwhile. */
  readonly descriptor?: number;
  /** Removes the file and gives the lock up. */
  release(): void;
}

/**
 * Makes the file when it is not there, locks it, and writes into it who has it. Does not wait.
 * @returns undefined when somebody has it; on a file system without locks what says so.
 * @throws Error of the disk, or of a link or a pipe that is in the file's place.
 */
export function lockFile(file: string): FileLock | undefined {
  for (;;) {
    const { descriptor, isWritable } = openLock(file);
    try {
      if (!tryLock(descriptor)) {
        closeSync(descriptor);
        return undefined;
      }
    } catch (error) {
      if (fstatSync(descriptor).size === 0) rmSync(file, { force: true }); // it was made here, for nothing
      closeSync(descriptor);
      if (error instanceof SetupError) throw error;
      return { reason: (error as Error).message, release() {} };
    }
    // Whoever had it may have removed the file after it was opened here: then a lock of it keeps nobody out.
    if (isSameFile(descriptor, file)) return held(file, descriptor, isWritable);
    closeSync(descriptor);
  }
}

/** NFS locks no file that is open to be read alone; elsewhere that does for a file that another user left. */
function openLock(file: string): { descriptor: number; isWritable: boolean } {
  try {
    return { descriptor: openNoFollow(file, constants.O_RDWR | constants.O_CREAT), isWritable: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES' || !existsSync(file)) throw error;
    return { descriptor: openNoFollow(file, constants.O_RDONLY), isWritable: false };
  }
}

/** Whether somebody holds a file's lock; not where that cannot be found out. */
export function isLocked(file: string): boolean {
  let descriptor: number | undefined;
  try {
    descriptor = openNoFollow(file, constants.O_RDWR); // NFS locks no file that is open to be read alone
    return !tryLock(descriptor);
  } catch {
    return false;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function held(file: string, descriptor: number, isWritable: boolean): FileLock {
  const holder = { pid: process.pid, host: hostname(), since: new Date().toISOString() };
  try {
    if (isWritable) {
      ftruncateSync(descriptor, 0);
      writeSync(descriptor, `${JSON.stringify(holder)}\n`, 0);
    }
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return {
    descriptor,
    release() {
      // The lock goes last: who has opened the file by then finds that it is removed.
      try {
        if (isSameFile(descriptor, file)) unlinkSync(file);
      } catch {
        // A file that stays keeps nobody out.
      }
      closeSync(descriptor);
    },
  };
}

function isSameFile(descriptor: number, file: string): boolean {
  const [own, named] = [fstatSync(descriptor), lstatSync(file, { throwIfNoEntry: false })];
  return named !== undefined && own.ino === named.ino && own.dev === named.dev;
}

export interface Holder {
  pid?: number;
  host?: string;
  since?: string;
}

/** What a locked file says; nothing where there is none, or its text is still on its way. */
export function holderIn(file: string): Holder {
  try {
    const said = readJson(file, { limit: MAX_BYTES });
    const { pid, host, since } = said as Record<string, unknown>;
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== 'string' || typeof since !== 'string')
      return {};
    return { pid: pid as number, host: truncate(host, MAX_NAME), since: truncate(since) };
  } catch {
    return {};
  }
}

/** Who that is, for a sentence. */
export function nameOf({ pid, host }: Holder): string {
  return pid === undefined ? 'another process' : `process ${pid} on ${host}`;
}
