/** Data sets of image files: which images there are, and how the bytes of one are read. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Names, nameAt } from './names.js';

/** Images of one set, in the order of classes and of paths within a class. Everything is on SharedArrayBuffers. */
export interface ImageFiles {
  readonly count: number;
  /** [count] */
  readonly labels: Uint16Array;
  /** [count] Paths from the data set's folder, with `/`. */
  readonly names: Names;
  /** Where the bytes stand, when they are packed; else each image is a file of its name. */
  readonly places?: Places;
}

/** Images packed in shards. */
export interface Places {
  /** The shards' names in the folder. */
  readonly shards: readonly string[];
  /** [count] Which shard, and where in it. */
  readonly shard: Uint32Array;
  readonly offset: Float64Array;
  readonly bytes: Float64Array;
}

/** A data set whose images are decoded as they are needed. */
export interface FileDataset {
  readonly kind: 'files';
  readonly name: string;
  /** Where it comes from, for people. */
  readonly source: string;
  readonly folder: string;
  readonly train: ImageFiles;
  readonly test: ImageFiles;
  /** By label, sorted. */
  readonly classNames: readonly string[];
  /** Files in the class folders whose names are no images'. */
  readonly ignored: number;
  /** Of the images that were packed, so that what is computed of them serves both; absent for a folder. */
  readonly key?: string;
}

/** The bytes of an image, or why there are none. */
export type Bytes = { readonly bytes: Buffer } | { readonly reason: string };

/** Reads the bytes of images of one set; never throws for a file. */
export interface ByteReader {
  read(index: number): Bytes;
  close(): void;
}

/** ImageNet's largest file has 16 MB: more is no photograph, and must not fill the memory. */
const MAX_FILE_BYTES = 2 ** 28;

/** For one thread. Open shards stay open until `close`. */
export function openReader(folder: string, { names, places }: ImageFiles): ByteReader {
  if (!places) return { read: (index) => readImage(join(folder, nameAt(names, index))), close() {} };
  const open = new Map<number, number>();
  return {
    read: (index) =>
      guarded(() => {
        const shard = places.shard[index]!;
        let file = open.get(shard);
        if (file === undefined) {
          file = openSync(join(folder, places.shards[shard]!), 'r');
          open.set(shard, file);
        }
        return readRange(file, places.offset[index]!, places.bytes[index]!);
      }),
    close() {
      for (const file of open.values()) closeSync(file);
      open.clear();
    },
  };
}

/** The bytes of a file. Never throws for a file, and never waits for one that is a pipe. */
export function readImage(path: string): Bytes {
  return guarded(() => {
    const stat = statSync(path);
    if (stat.isDirectory()) return { reason: 'it is a folder' };
    if (!stat.isFile()) return { reason: 'it is no file' };
    const file = openSync(path, 'r');
    try {
      return readRange(file, 0, stat.size);
    } finally {
      closeSync(file);
    }
  });
}

function readRange(file: number, from: number, length: number): Bytes {
  if (length > MAX_FILE_BYTES) return { reason: `it has ${length} bytes, more than ${MAX_FILE_BYTES}` };
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const got = readSync(file, bytes, done, length - done, from + done);
    if (got === 0) return { reason: `it ends after ${done} of ${length} bytes` };
    done += got;
  }
  return { bytes };
}

/** What the system refuses is a reason; its message ends with the path, which whoever reports it has. */
function guarded(read: () => Bytes): Bytes {
  try {
    return read();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    if (code === 'ENOENT') return { reason: 'it is not there' };
    return { reason: `it cannot be read (${message.replace(/, \w+( '.*')?$/, '')})` };
  }
}
