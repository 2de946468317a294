/** Bytes that are on the disk, and not only on their way there. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';

/** Most bytes that Node.js reads or writes at once are 2³¹ - 1. */
export const CHUNK_BYTES = 2 ** 30;

/** What is read at once where a file is only looked through. */
const LOOK_BYTES = 2 ** 22;

/** A file's size and the SHA-256 of its bytes, in hexadecimal. */
export interface Digest {
  bytes: number;
  sha256: string;
}

/** Writes all of it where the descriptor stands. @throws the system's error. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, CHUNK_BYTES));
  }
}

/** Writes a new file of those parts and flushes it to the disk. @throws the system's error. */
export function writeFlushed(file: string, parts: readonly Uint8Array[]): Digest {
  const hash = createHash('sha256');
  let size = 0;
  const descriptor = openSync(file, 'wx');
  try {
    for (const part of parts) {
      hashChunked(hash, part);
      writeAll(descriptor, part);
      size += part.length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { bytes: size, sha256: hash.digest('hex') };
}

/** Size and hash of what an open file has; however large it is, little of it is in memory at once. */
export function digestOf(descriptor: number): Digest {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(Math.min(LOOK_BYTES, Math.max(1, fstatSync(descriptor).size)));
  let bytes = 0;
  for (;;) {
    const count = readSync(descriptor, chunk, 0, chunk.length, bytes);
    if (count === 0) return { bytes, sha256: hash.digest('hex') };
    hash.update(chunk.subarray(0, count));
    bytes += count;
  }
}

const CANNOT_FLUSH = ['EINVAL', 'EPERM', 'EISDIR', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** A rename is on the disk only when the folder is. Not every system lets a folder be flushed. */
export function flushFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } catch (error) {
    if (!CANNOT_FLUSH.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** OpenSSL takes at most 2³¹ - 1 bytes at once. */
function hashChunked(hash: Hash, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; done += CHUNK_BYTES) hash.update(bytes.subarray(done, done + CHUNK_BYTES));
}
