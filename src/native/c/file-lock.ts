/** Locks of files that the system holds: they end with the process that has them, however it ends. */
import koffi from 'koffi';

/** `sys/file.h`, the same on Linux and macOS. */
const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Locks an open file for itself alone (`flock`), until it is closed; the process's end closes it. Does not wait.
 * @returns false when it is locked by way of another opening of the file, of this process or another.
 * @throws Error where the file system has no locks.
 */
export function tryLock(descriptor: number): boolean {
  const flock = koffi.load(null).func('int flock(int fd, int operation)') as unknown as FLock;
  if (flock(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  const { errno } = koffi.os;
  const code = koffi.errno();
  if (code === errno.EWOULDBLOCK || code === errno.EAGAIN || code === errno.EINTR) return false;
  const name = Object.keys(errno).find((each) => errno[each] === code) ?? `error ${code}`;
  throw new Error(`the file system does not lock files (${name})`);
}

type FLock = (descriptor: number, operation: number) => number;
