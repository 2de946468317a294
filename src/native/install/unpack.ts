/** Unpacks some files of a wheel, which is a zip archive, as streams: the libraries are too large for memory. */
import { createWriteStream } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { type Entry, openPromise, type ZipFile } from 'yauzl';
import { makeFolders } from '../../safe-write.js';

/** Node.js has it from 20.15 on; before, pip's check of the whole wheel has to do. */
const crc32: typeof zlib.crc32 | undefined = zlib.crc32;

/**
 * Unpacks the files that `isKept` accepts to the same paths under `folder`, and returns the paths. The files are on the
 * disk when this returns. Checks sizes and checksums; refuses a path that leaves the folder or exists already.
 */
export async function unpack(archive: string, folder: string, isKept: (path: string) => boolean): Promise<string[]> {
  const zip = await openPromise(archive);
  const paths: string[] = [];
  // yauzl refuses absolute paths, `..`, and streams that are shorter or longer than the entry says.
  for await (const entry of zip.eachEntry()) {
    if (!isKept(entry.fileName)) continue;
    await unpackEntry(zip, entry, join(folder, entry.fileName));
    paths.push(entry.fileName);
  }
  return paths;
}

async function unpackEntry(zip: ZipFile, entry: Entry, file: string): Promise<void> {
  makeFolders(dirname(file));
  // Users may share the cache: what its owner may run, everybody may.
  const mode = (entry.externalFileAttributes >>> 16) & 0o100 ? 0o755 : 0o644;
  let sum = 0;
  await pipeline(
    await zip.openReadStreamPromise(entry),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        sum = crc32?.(chunk, sum) ?? entry.crc32;
        yield chunk;
      }
    },
    createWriteStream(file, { flags: 'wx', mode, flush: true }),
  );
  if (sum !== entry.crc32) throw new Error(`the checksum of ${entry.fileName} is wrong`);
}
