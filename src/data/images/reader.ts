/** Reads the bytes of images: from files of their own, or from shards. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { systemMessage } from '../../errors.js';
import type { ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { errorWithCode, GONE, isSystemFault, retryRead } from './retry.js';

/** Why an image cannot be read. */
export type Refused = { readonly reason: string };

type Use<T> = (bytes: Buffer) => T | Promise<T>;

/** The largest file of ImageNet has 16 MB. A larger file must not fill the memory. */
const MAX_FILE_BYTES = 2 ** 28;

/** Shards that one process keeps open at most: many systems allow a process 256 open files, and others need some. */
export const MAX_OPEN_SHARDS = 32;

/** Buffers that a reader keeps: that of the image in use, and those of the next ones. */
const MAX_SPARE = 4;

/** Reads images of one part; for one thread. */
export function openReader(
  folder: string,
  { names, places }: ImageFiles,
  { maxOpen = MAX_OPEN_SHARDS, signal }: { maxOpen?: number | undefined; signal?: AbortSignal | undefined } = {},
) {
  const closing = new AbortController();
  const signals = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal;
  const shards = openShards(folder, places?.shards ?? [], maxOpen);
  /** Buffers that are used again. */
  const spare: Buffer[] = [];
  const allocate = (length: number) => {
    const at = spare.findIndex((buffer) => buffer.length === length);
    return at < 0 ? allocateBytes(length) : spare.splice(at, 1)[0]!;
  };
  return {
    /**
     * Reads image `index` and calls `use` with its bytes. System faults of both are retried; see `retry.ts`.
     * @returns what `use` returns, or why the file cannot be read.
     * @throws SystemError for a system fault that lasts.
     */
    read<T>(index: number, use: Use<T>): Promise<T | Refused> {
      const name = nameAt(names, index);
      const path = join(folder, name);
      if (!places) return readAndUse(path, () => readListed(path), use, signals);
      const shard = places.shard[index]!;
      const read = (file: number) => readFromShard(file, places.offset[index]!, places.bytes[index]!, allocate);
      const where = `${name} in ${join(folder, places.shards[shard]!)}`;
      return readAndUse(where, () => shards.use(shard, read), use, signals);
    },
    /** Takes back what {@link read} passed to `use`, if nobody reads it any more, for images of the same length. */
    recycle(bytes: Buffer): void {
      if (places && spare.length < MAX_SPARE) spare.push(bytes);
    },
    /** Closes open shards and ends retries. */
    close() {
      closing.abort();
      shards.close();
    },
  };
}

export type ImageReader = ReturnType<typeof openReader>;

/** Reads an image file that the user named, like {@link ImageReader}. */
export function readImageFile<T>(path: string, use: Use<T>): Promise<T | Refused> {
  return readAndUse(path, () => readFile(path), use);
}

async function readAndUse<T>(path: string, read: () => Buffer | Refused, use: Use<T>, signal?: AbortSignal) {
  const attempt = () => {
    const bytes = read();
    return Buffer.isBuffer(bytes) ? use(bytes) : bytes;
  };
  return retryRead<T | Refused>(path, attempt, { signal });
}

/** Reads a file that was in its folder when the folder was listed. @throws GONE if the folder is gone too. */
function readListed(path: string): Buffer | Refused {
  const read = readFile(path);
  if (Buffer.isBuffer(read)) return read;
  try {
    accessSync(dirname(path), constants.R_OK | constants.X_OK);
  } catch (error) {
    throw errorWithCode(GONE, `its folder cannot be opened any more: ${systemMessage(error as Error)}`);
  }
  return read;
}

/** Never waits for a pipe. @throws the system's error if the file is not at fault. */
function readFile(path: string): Buffer | Refused {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return { reason: 'it is a folder' };
    if (!stat.isFile()) return { reason: 'it is not a regular file' };
    const file = openSync(path, 'r');
    try {
      return readRange(file, 0, stat.size);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || isSystemFault(error)) throw error;
    return { reason: code === 'ENOENT' ? 'it is not there' : `it cannot be read (${systemMessage(error as Error)})` };
  }
}

/** @throws GONE if the shard is shorter than when its index was read. */
function readFromShard(shard: number, from: number, length: number, allocate = allocateBytes): Buffer | Refused {
  const read = readRange(shard, from, length, allocate);
  if (Buffer.isBuffer(read) || length > MAX_FILE_BYTES) return read;
  throw errorWithCode(GONE, `the shard has become shorter: ${read.reason}`);
}

function readRange(file: number, from: number, length: number, allocate = allocateBytes): Buffer | Refused {
  if (length > MAX_FILE_BYTES) return { reason: `it has ${length} bytes, more than ${MAX_FILE_BYTES}` };
  const bytes = allocate(length);
  for (let done = 0; done < length; ) {
    const count = readSync(file, bytes, done, length - done, from + done);
    if (count === 0) return { reason: `it ends after ${done} of ${length} bytes` };
    done += count;
  }
  return bytes;
}

/** @throws ENOMEM if there is no memory. */
function allocateBytes(length: number): Buffer {
  try {
    return Buffer.allocUnsafeSlow(length);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw errorWithCode('ENOMEM', `no memory for its ${length} bytes`);
  }
}

/** Opens shards when they are needed. Of more than `maxOpen`, it closes the least recently used one. */
export function openShards(folder: string, names: readonly string[], maxOpen: number) {
  /** Descriptors by shard, the least recently used first. */
  const open = new Map<number, number>();

  function closeShard(shard: number): void {
    const file = open.get(shard)!;
    open.delete(shard); // first: the descriptor is gone even if closing it fails
    closeSync(file);
  }

  function close(): void {
    for (const shard of [...open.keys()]) closeShard(shard);
  }

  function openShard(shard: number): number {
    while (open.size >= maxOpen) closeShard(open.keys().next().value!);
    const path = join(folder, names[shard]!);
    try {
      return openSync(path, 'r');
    } catch (error) {
      if (!/^E[MN]FILE$/.test((error as NodeJS.ErrnoException).code ?? '') || open.size === 0) throw error;
      close(); // too many open files
      return openSync(path, 'r');
    }
  }

  return {
    /** Calls `use` with the descriptor of a shard. @throws the system's error, or GONE if it cannot be opened. */
    use<T>(shard: number, use: (file: number) => T): T {
      try {
        const file = open.get(shard) ?? openShard(shard);
        open.delete(shard);
        open.set(shard, file);
        return use(file);
      } catch (error) {
        if (open.has(shard)) closeShard(shard); // after a server was away, an open file may stay unusable
        if (isSystemFault(error) || (error as NodeJS.ErrnoException).code === undefined) throw error;
        // A shard has thousands of images, so this is not a fault of one of them.
        throw errorWithCode(GONE, `the shard cannot be opened: ${systemMessage(error as Error)}`);
      }
    },
    close,
  };
}
