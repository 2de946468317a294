/** Data sets of image files: which images there are, and how the bytes of one are read. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemMessage } from '../../errors.js';
import { type Names, nameAt } from '../sets/names.js';
import type { PassedOver } from '../sets/walk.js';
import type { Decode, Decoded } from './decode.js';
import { openShards } from './open-shards.js';
import { GONE, isOfSystem, patiently, systemError } from './retry.js';

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
  /** Files in the class folders whose names are no images'; of a folder also by ending. */
  readonly ignored: number;
  readonly passedOver?: PassedOver;
  /** How the folder was understood where that is not plain, for people. */
  readonly remarks?: readonly string[];
  /** Of the images that were packed, so that what is computed of them serves both; absent for a folder. */
  readonly key?: string;
}

/** The bytes of an image, or why there are none. */
export type Bytes = { readonly bytes: Buffer } | { readonly reason: string };

/**
 * Reads images of one set. What is wrong with a file is a reason; what is wrong with the system is waited for, and thrown
 * as a SystemError when it lasts: see `trouble.ts`.
 */
export interface ByteReader {
  read(index: number): Promise<Bytes>;
  load(index: number, decode: Decode): Promise<Decoded>;
  /** Ends what is waited for too. */
  close(): void;
}

export interface ReaderOptions {
  /** How many shards stay open at most, 32 without it. */
  mostOpen?: number;
  /** Ends what is waited for. */
  signal?: AbortSignal | undefined;
}

/** ImageNet's largest file has 16 MB: more is no photograph, and must not fill the memory. */
const MAX_FILE_BYTES = 2 ** 28;

/** Shards of one process that stay open: others want files too, and many systems give a process 256. */
export const MOST_OPEN = 32;

/** For one thread. */
export function openReader(folder: string, files: ImageFiles, options: ReaderOptions = {}): ByteReader {
  const { names, places } = files;
  const closing = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal;
  const shards = places && openShards(folder, places.shards, options.mostOpen ?? MOST_OPEN);
  const pathOf = (index: number) => join(folder, nameAt(names, index));
  const readOnce = (index: number): Bytes =>
    shards
      ? shards.use(places.shard[index]!, (file) => readWhole(file, places.offset[index]!, places.bytes[index]!))
      : readOf(pathOf(index));
  const placeOf = (index: number) =>
    places ? `${nameAt(names, index)} in ${join(folder, places.shards[places.shard[index]!]!)}` : pathOf(index);
  return {
    read: (index) =>
      patiently(
        () => placeOf(index),
        () => readOnce(index),
        { signal },
      ),
    load: (index, decode) =>
      patiently(
        () => placeOf(index),
        () => {
          const read = readOnce(index);
          return 'bytes' in read ? decode(read.bytes) : read;
        },
        { signal },
      ),
    close() {
      closing.abort();
      shards?.close();
    },
  };
}

/** The bytes of a file that was there when its folder was listed. @throws the system's error when its folder is gone too. */
function readOf(path: string): Bytes {
  const read = readImage(path);
  if ('reason' in read) {
    try {
      accessSync(dirname(path), constants.R_OK | constants.X_OK);
    } catch (error) {
      throw systemError(GONE, `its folder cannot be looked into any more: ${systemMessage(error as Error)}`);
    }
  }
  return read;
}

/** The bytes of a file. Never waits for one that is a pipe. @throws the system's error when it is no fault of the file. */
export function readImage(path: string): Bytes {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return { reason: 'it is a folder' };
    if (!stat.isFile()) return { reason: 'it is no file' };
    const file = openSync(path, 'r');
    try {
      return readRange(file, 0, stat.size);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || isOfSystem(error)) throw error;
    if (code === 'ENOENT') return { reason: 'it is not there' };
    return { reason: `it cannot be read (${systemMessage(error as Error)})` };
  }
}

/** A piece of a shard. @throws Error when the shard does not have it any more: it had, when its index was read. */
function readWhole(file: number, from: number, length: number): Bytes {
  const read = readRange(file, from, length);
  if ('reason' in read && length <= MAX_FILE_BYTES)
    throw systemError(GONE, `the shard has become shorter: ${read.reason}`);
  return read;
}

function readRange(file: number, from: number, length: number): Bytes {
  if (length > MAX_FILE_BYTES) return { reason: `it has ${length} bytes, more than ${MAX_FILE_BYTES}` };
  const bytes = memoryOf(length);
  let done = 0;
  while (done < length) {
    const got = readSync(file, bytes, done, length - done, from + done);
    if (got === 0) return { reason: `it ends after ${done} of ${length} bytes` };
    done += got;
  }
  return { bytes };
}

function memoryOf(length: number): Buffer {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw systemError('ENOMEM', `no memory for its ${length} bytes`);
  }
}
