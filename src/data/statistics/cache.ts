/** Statistics are computed once: they are kept under a key of all that they depend on. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { DataError, systemMessage } from '../../errors.js';
import { readJson } from '../../read-json.js';
import { assertFolderWritable } from '../../safe-write.js';
import type { FileDataset, ImageFiles } from '../images/reader.js';
import { isOfSystem, patiently } from '../images/retry.js';
import type { Progress } from '../progress.js';
import type { Dataset } from '../sets/idx-dataset.js';
import { nameAt } from '../sets/names.js';
import { type Statistics, statisticsOfFiles, statisticsOfPixels, stopped } from './statistics.js';

/** Part of every key: another way to decode is another mean. */
const DECODING = 1;

/** Ends the name of a file that is not whole yet: a packing that goes on clears them away, whoever left them. */
export const UNFINISHED = '.unfinished';

/** Files that are looked at in one go: some milliseconds, on a slow disk a second. */
const TURN = 1_000;

type KeyOptions = Pick<StatisticsOptions, 'resize' | 'channels' | 'signal'>;

export interface StatisticsOptions {
  resize: number;
  channels: 1 | 3;
  onBadImage: 'fail' | 'skip';
  /** The folder in which they are kept; made when it is not there. Asked for only where it is used. */
  readonly cache: string;
  /** Images that are decoded at once. */
  atOnce: number;
  progress?: Progress;
  signal?: AbortSignal;
  /** Hears that the cache takes nothing. Without it that is an error, for who wants them kept. */
  warn?: ((message: string) => void) | undefined;
}

/**
 * The statistics of the training images: those that are kept beside packed images, or in the cache; else computed, which
 * reads every image, and kept in the cache. Those of images in memory take a moment and are computed each time.
 * @throws DataError for images that cannot be read, or, unless `warn` is told, a cache that cannot be written.
 */
export async function statisticsOf(dataset: Dataset, options: StatisticsOptions): Promise<Statistics> {
  if (dataset.kind === 'pixels') return statisticsOfPixels(dataset, options.resize);
  const name = await fileName(dataset, options);
  const keptIn = (folder: string) => {
    const found = readStatistics(join(folder, name), options.resize);
    return found?.channels === options.channels ? found : undefined;
  };
  const beside = keptIn(dataset.folder);
  if (beside) return beside;
  const cache = cacheOrTold(options);
  const found = cache === undefined ? undefined : keptIn(cache);
  if (found) return found;
  // Better told now than after a million images.
  const isKept = cache !== undefined && keeping(cache, () => assertFolderWritable(cache), options.warn);
  const computed = await statisticsOfFiles(dataset, options);
  if (isKept) keeping(cache, () => writeStatistics(cache, name, computed), options.warn);
  return computed;
}

/** @returns undefined for a user without a home, who has no cache. */
function cacheOrTold(options: StatisticsOptions): string | undefined {
  try {
    return options.cache;
  } catch (error) {
    if (!options.warn) throw error;
    options.warn(`the mean image is not kept for the next run, which computes it again: ${(error as Error).message}`);
    return undefined;
  }
}

/**
 * Keeps statistics in a folder.
 * @param warn hears that they cannot be kept.
 * @returns whether they are.
 * @throws DataError when they cannot be kept and nobody hears it.
 */
function keeping(folder: string, keep: () => void, warn?: (message: string) => void): boolean {
  try {
    keep();
    return true;
  } catch (error) {
    const why = systemMessage(error as Error);
    if (!warn) {
      throw new DataError(
        `Cannot keep the mean image in ${folder}: ${why}, expected a folder that can be written to; name another cache with ALEXNET_SPLIT_CACHE, or make room`,
        { cause: error },
      );
    }
    warn(`the mean image is not kept in ${folder} (${why}): the next run computes it again`);
    return false;
  }
}

/**
 * Keeps statistics beside the images of a packed data set, where every machine finds them.
 * @throws DataError when they cannot be written.
 */
export async function keepStatistics(packed: FileDataset, statistics: Statistics): Promise<void> {
  const name = await fileName(packed, statistics);
  keeping(packed.folder, () => writeStatistics(packed.folder, name, statistics));
}

async function fileName(dataset: FileDataset, options: KeyOptions): Promise<string> {
  return `statistics-${await statisticsKey(dataset, options)}.json`;
}

/** What statistics depend on: each training image by path, size and time of its last change, and how it is decoded. */
export async function statisticsKey(dataset: FileDataset, { resize, channels, signal }: KeyOptions): Promise<string> {
  const images = dataset.key ?? (await filesKey(dataset.folder, dataset.train, signal));
  return hashed(JSON.stringify([DECODING, resize, channels, images]));
}

/**
 * A key of the images: their paths, sizes and times of the last change. A file that is gone counts as such. Of a million
 * files it takes a while, so others have their turn now and then.
 * @throws DataError when the signal ends it.
 */
export async function filesKey(folder: string, { count, names }: ImageFiles, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (let i = 0; i < count; i++) {
    if (i % TURN === 0) {
      await turn();
      if (signal?.aborted) throw stopped(folder);
    }
    const name = nameAt(names, i);
    const path = join(folder, name);
    const stat = await patiently(
      () => path,
      () => statOf(path),
      { signal },
    );
    hash.update(`${name}\0${stat?.size ?? -1}\0${stat?.mtimeMs ?? -1}\n`);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Writes statistics, whole or not at all. @throws the system's error when the disk does not take them. */
export function writeStatistics(folder: string, name: string, statistics: Statistics): void {
  const { mean, ...rest } = statistics;
  const bytes = Buffer.from(Float32Array.from(mean).buffer); // base64 does not take shared memory
  mkdirSync(folder, { recursive: true });
  const unfinished = join(folder, `.${name}.${randomBytes(4).toString('hex')}${UNFINISHED}`);
  try {
    writeFileSync(unfinished, `${JSON.stringify({ ...rest, mean: bytes.toString('base64') })}\n`);
    renameSync(unfinished, join(folder, name));
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Statistics out of a file; nothing when there is none, or it holds something else. */
export function readStatistics(file: string, resize: number): Statistics | undefined {
  try {
    // Base64 has four bytes for three; beside the mean image there are a few numbers.
    const limit = 65_536 + Math.ceil((4 * 3 * resize ** 2 * 4) / 3);
    const kept = readJson(file, { limit }) as Statistics & { mean: unknown };
    const bytes = Buffer.from(String(kept.mean), 'base64');
    const mean = new Float32Array(new SharedArrayBuffer(bytes.length - (bytes.length % 4)));
    new Uint8Array(mean.buffer).set(bytes.subarray(0, mean.byteLength));
    return isStatistics({ ...kept, mean }, resize) ? { ...kept, mean } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether what comes from elsewhere is whole, and of images at `resize` pixels. */
export function isStatistics(value: unknown, resize: number): value is Statistics {
  const { channels, colours, images, mean, ...rest } = (value ?? {}) as Partial<Statistics>;
  const { deviations, directions } = (colours ?? {}) as Partial<Statistics['colours']>;
  const whole = (channels === 1 || channels === 3) && mean?.length === resize * resize * channels;
  if (!whole || rest.resize !== resize || !Number.isSafeInteger(images) || !mean.every(Number.isFinite)) return false;
  const isOfThree = (list: unknown): list is unknown[] => Array.isArray(list) && list.length === 3;
  if (!isOfThree(deviations) || !isOfThree(directions) || !directions.every(isOfThree)) return false;
  return [...deviations, ...directions.flat()].every(Number.isFinite);
}

/** Nothing of what is gone, or may not be looked at: that it cannot be read comes out when it is read. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (isOfSystem(error)) throw error;
    return undefined;
  }
}

function hashed(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
