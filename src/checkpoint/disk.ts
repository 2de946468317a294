/** Writes that are flushed to the disk, and digests of files. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync, rmSync, writeSync } from 'node:fs';

/** Node.js reads, writes and hashes at most 2³¹ - 1 bytes at once. */
export const CHUNK_BYTES = 2 ** 30;

/** How much {@link digestOf} has in memory at once. */
const READ_BYTES = 2 ** 22;

/** Writes all bytes at the descriptor's position. @throws the system's error. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, Math.min(bytes.length - done, CHUNK_BYTES));
  }
}

/**
 * Creates a file with these parts and flushes it to the disk.
 * @returns its size, and the SHA-256 of its bytes in hexadecimal. @throws the system's error.
 */
export function writeFlushed(file: string, parts: readonly Uint8Array[]): { bytes: number; sha256: string } {
  const hash = createHash('sha256');
  let bytes = 0;
  const descriptor = openSync(file, 'wx');
  try {
    for (const part of parts) {
      for (let at = 0; at < part.length; at += CHUNK_BYTES) hash.update(part.subarray(at, at + CHUNK_BYTES));
      writeAll(descriptor, part);
      bytes += part.length;
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** The size and the SHA-256 of an open file. */
export function digestOf(descriptor: number): ReturnType<typeof writeFlushed> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(READ_BYTES);
  for (let bytes = 0; ; ) {
    const count = readSync(descriptor, chunk, 0, chunk.length, bytes);
    if (count === 0) return { bytes, sha256: hash.digest('hex') };
    hash.update(chunk.subarray(0, count));
    bytes += count;
  }
}

const CANNOT_FLUSH = ['EINVAL', 'EPERM', 'EISDIR', 'EBADF', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Flushes a folder, which makes a rename in it durable. Does nothing on systems that cannot flush folders. */
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

/** Removes a file or a folder. One that cannot be removed, because of a disk fault or its owner, does no harm. */
export function removeQuietly(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {}
}
