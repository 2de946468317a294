/** Caches statistics in files, under a key of everything that they depend on. */
import { createHash, randomBytes } from 'node:crypto';
import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import { DataError, systemMessage } from '../../errors.js';
import { readJson } from '../../read-json.js';
import { assertFolderWritable, makeFolders } from '../../safe-write.js';
import type { Decoding } from '../images/decode.js';
import { stoppedError } from '../images/each-image.js';
import { isSystemFault, retryRead } from '../images/retry.js';
import { isAsStored } from '../images/stored.js';
import type { Dataset, FileDataset, ImageFiles } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { openKeptSums } from './kept-sums.js';
import { knownKey } from './known-key.js';
import { ACTION, type ComputeOptions, type Statistics, statisticsOfFiles, statisticsOfPixels } from './statistics.js';

/** Part of every key: another way of decoding gives another mean. */
const DECODING = 1;

/** Ending of a file that is not complete. Packing removes such files, whoever left them. */
export const UNFINISHED = '.unfinished';

/** Files that are looked at before other work gets a turn: some milliseconds, a second on a slow disk. */
const FILES_PER_TURN = 1_000;

interface StatisticsOptions extends ComputeOptions {
  /** The folder of the cache; created if missing. Read only if needed, and may throw for a user without a home. */
  readonly cache: string;
  /** Called if the cache cannot be used. Without it, that is an error. */
  warn?: ((message: string) => void) | undefined;
  /** Looks at every file to know whether it is the one that it was. Otherwise see `known-key.ts`. */
  everyFile?: boolean;
}

/**
 * The statistics of the training images: from beside packed images or from the cache; otherwise computed, which reads
 * every image, and cached. Those of images in memory are computed each time, which takes a moment.
 * @throws DataError for unreadable images, or without `warn` if the cache cannot be written.
 */
export async function statisticsOf(dataset: Dataset, options: StatisticsOptions): Promise<Statistics> {
  if (dataset.kind === 'pixels') return statisticsOfPixels(dataset, options.resize);
  const { channels, resize, warn } = options;
  const name = await statisticsFile(dataset, options);
  const readFrom = (folder: string) => {
    const found = readStatistics(join(folder, name), resize);
    return found?.channels === channels ? found : undefined;
  };
  const beside = readFrom(dataset.folder);
  if (beside) return beside;
  const cache = cacheFolder(options);
  const cached = cache === undefined ? undefined : readFrom(cache);
  if (cached) return cached;
  // Better to know now than after a million images.
  const isUsable = cache !== undefined && trySaving(cache, () => assertFolderWritable(cache), warn);
  if (!isUsable) return statisticsOfFiles(dataset, options);
  const kept = openKeptSums(cache, name, dataset.train, writeWhole);
  const computed = await statisticsOfFiles(dataset, { ...options, kept });
  if (trySaving(cache, () => writeStatistics(cache, name, computed), warn)) kept.remove();
  return computed;
}

function cacheFolder(options: StatisticsOptions): string | undefined {
  try {
    return options.cache;
  } catch (error) {
    if (!options.warn) throw error;
    options.warn(`the mean image is not cached, so the next run computes it again: ${(error as Error).message}`);
    return undefined;
  }
}

function cacheIfAny(options: Partial<StatisticsOptions>): string | undefined {
  try {
    return options.cache;
  } catch {
    return undefined;
  }
}

/** Returns whether `save` succeeded. @throws DataError if it failed and there is no `warn`. */
function trySaving(folder: string, save: () => void, warn?: (message: string) => void): boolean {
  try {
    save();
    return true;
  } catch (error) {
    const why = systemMessage(error as Error);
    if (!warn) {
      throw new DataError(
        `Cannot save the mean image in ${folder}: ${why}, expected a folder that can be written to; name another cache with ALEXNET_SPLIT_CACHE, or free some space`,
        { cause: error },
      );
    }
    warn(`the mean image is not cached in ${folder} (${why}): the next run computes it again`);
    return false;
  }
}

/** Saves statistics beside packed images, where every machine finds them. @throws DataError if it cannot write. */
export async function keepStatistics(
  packed: FileDataset,
  statistics: Statistics,
  decoding: Decoding = {},
): Promise<void> {
  const name = await statisticsFile(packed, { ...statistics, ...decoding });
  trySaving(packed.folder, () => writeStatistics(packed.folder, name, statistics));
}

/** The name of a file of statistics: a key of the training images and of how they are decoded. */
export async function statisticsFile(
  dataset: FileDataset,
  options: Pick<ComputeOptions, 'resize' | 'channels' | 'signal' | keyof Decoding> & Partial<StatisticsOptions>,
): Promise<string> {
  const { resize, channels, interpolation, upright, signal, everyFile = false } = options;
  const compute = () => filesKey(dataset.folder, dataset.train, signal);
  const images = dataset.key ?? (await knownKey(dataset, cacheIfAny(options), compute, { everyFile, writeWhole }));
  const own = [
    ...(interpolation === 'bilinear' ? [interpolation] : []), // the others' keys are as they were before these
    ...(upright ? ['upright'] : []),
    ...(hasPixelsOfFolder(dataset, { resize, channels, interpolation, upright }) ? [] : [dataset.stored]),
  ];
  const text = JSON.stringify([DECODING, resize, channels, images, ...own]);
  return `statistics-${createHash('sha256').update(text).digest('hex').slice(0, 32)}.json`;
}

/** Whether a data set gives the same pixels as the folder of its original images. Stored as JPEG once more it does not. */
function hasPixelsOfFolder(
  { stored }: FileDataset,
  { resize, channels, ...decoding }: Pick<ComputeOptions, 'resize' | 'channels' | keyof Decoding>,
): boolean {
  return stored === undefined || (stored.kind === 'raw' && channels === 3 && isAsStored(stored, resize, decoding));
}

/** A key of the paths, sizes and modification times of images. @throws DataError if the signal is aborted. */
export async function filesKey(folder: string, { count, names }: ImageFiles, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (let i = 0; i < count; i++) {
    if (i % FILES_PER_TURN === 0) {
      await nextTurn();
      if (signal?.aborted) throw stoppedError(ACTION, folder);
    }
    const name = nameAt(names, i);
    const path = join(folder, name);
    const stat = await retryRead(path, () => statOf(path), { signal });
    hash.update(`${name}\0${stat?.size ?? -1}\0${stat?.mtimeMs ?? -1}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Undefined if the file is gone or may not be read: reading it reports that. */
function statOf(path: string) {
  try {
    return statSync(path);
  } catch (error) {
    if (isSystemFault(error)) throw error;
    return undefined;
  }
}

export function writeStatistics(folder: string, name: string, { mean, ...rest }: Statistics): void {
  const bytes = Buffer.from(Float32Array.from(mean).buffer); // base64 does not accept shared memory
  makeFolders(folder);
  writeWhole(folder, name, `${JSON.stringify({ ...rest, mean: bytes.toString('base64') })}\n`);
}

/** Writes a file completely or not at all: it gets its name once it is on the disk. @throws the system's error. */
export function writeWhole(folder: string, name: string, text: string): void {
  const unfinished = join(folder, `.${name}.${randomBytes(4).toString('hex')}${UNFINISHED}`);
  try {
    writeFileSync(unfinished, text, { flush: true });
    renameSync(unfinished, join(folder, name));
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Reads statistics; undefined if there is no such file, or it is damaged or of another size. */
export function readStatistics(file: string, resize: number): Statistics | undefined {
  try {
    // Base64 has four bytes for three; a few numbers stand beside the mean image.
    const limit = 65_536 + Math.ceil((4 * 3 * resize ** 2 * 4) / 3);
    const found = readJson(file, { limit }) as Statistics & { mean: unknown };
    const bytes = Buffer.from(String(found.mean), 'base64');
    const mean = new Float32Array(new SharedArrayBuffer(bytes.length - (bytes.length % 4)));
    new Uint8Array(mean.buffer).set(bytes.subarray(0, mean.byteLength));
    const statistics = { ...found, mean };
    return isStatistics(statistics, resize) ? statistics : undefined;
  } catch {
    return undefined;
  }
}

const three = <T extends z.ZodType>(schema: T) => z.tuple([schema, schema, schema]);

const statisticsSchema = z.object({
  images: z.int(),
  resize: z.number(),
  channels: z.literal([1, 3]),
  mean: z.instanceof(Float32Array).refine((mean) => mean.every(Number.isFinite)),
  colours: z.object({ deviations: three(z.number()), directions: three(three(z.number())) }),
});

/** Whether a value from elsewhere is complete, and of images of `resize` pixels. */
export function isStatistics(value: unknown, resize: number): value is Statistics {
  const { data } = statisticsSchema.safeParse(value);
  return data?.resize === resize && data.mean.length === resize * resize * data.channels;
}
