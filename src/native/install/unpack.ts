/** Unpacks some files of a wheel, which is a zip archive, as a stream: a wheel's library is larger than what fits memory well. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';

/**
 * Unpacks the files whose path in the archive `isKept` takes, to the same paths under `folder`; each is on the disk when
 * this returns. Sizes and checksums are checked; a path that leaves the folder is refused, as is one that is there twice.
 * @returns the paths that were unpacked.
 * @throws Error of the disk or of the archive.
 */
export async function unpack(archive: string, folder: string, isKept: (path: string) => boolean): Promise<string[]> {
  const zip = await openPromise(archive);
  const paths: string[] = [];
  // yauzl refuses absolute paths and `..`, and streams that are shorter or longer than the entry says.
  for await (const entry of zip.eachEntry()) {
    if (!isKept(entry.fileName)) continue;
    await unpackEntry(zip, entry, join(folder, entry.fileName));
    paths.push(entry.fileName);
  }
  return paths;
}

async function unpackEntry(zip: ZipFile, entry: Entry, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  // The cache may be shared by users: what its owner may run, all may.
  const mode = (entry.externalFileAttributes >>> 16) & 0o100 ? 0o755 : 0o644;
  const sum = new Checksum();
  await pipeline(
    await zip.openReadStreamPromise(entry),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        sum.add(chunk);
        yield chunk;
      }
    },
    createWriteStream(file, { flags: 'wx', mode, flush: true }),
  );
  if (!sum.equals(entry.crc32)) throw new Error(`the checksum of ${entry.fileName} is wrong`);
}

/** CRC-32 of what went by. Node.js has it from 20.15 on; before, pip's check of the whole wheel has to do. */
class Checksum {
  #value = 0;

  add(chunk: Buffer): void {
    if (zlib.crc32) this.#value = zlib.crc32(chunk, this.#value);
  }

  equals(value: number): boolean {
    return !zlib.crc32 || this.#value === value;
  }
}
