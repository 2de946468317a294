/** Statistics of all training images: the mean image, and the principal components of the colours. */
import { DataError } from '../../errors.js';
import type { Colours } from '../images/colours.js';
import { createCrop } from '../images/crop.js';
import type { Decoding } from '../images/decode.js';
import { type Progress, stoppedError } from '../images/each-image.js';
import type { FileDataset, PixelDataset } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { openSummers } from './pool.js';
import { openSummer, type SumResult } from './summer.js';
import { createSums, type Totals } from './sums.js';

export interface Statistics {
  /** Number of images, without unreadable ones. */
  readonly images: number;
  readonly resize: number;
  readonly channels: 1 | 3;
  /** Mean image, float32 [resize, resize, channels], grey levels; on a SharedArrayBuffer. */
  readonly mean: Float32Array;
  readonly colours: Colours;
}

export interface ComputeOptions extends Decoding {
  resize: number;
  channels: 1 | 3;
  onBadImage: 'fail' | 'skip';
  /** Images that are read at a time. */
  concurrency: number;
  progress?: Progress;
  signal?: AbortSignal;
  /** Threads that compute; 0 for the calling thread. By default `concurrency`, and 0 for a few hundred images. */
  threads?: number;
  kept?: KeptSums | undefined;
  /** How often sums are kept, and the images of a part, for tests. */
  keepEveryMs?: number;
  partImages?: number;
}

export const ACTION = 'compute the mean image';

/** Sums that are kept while the rest is computed. */
export interface KeptSums {
  /** Of an earlier process; undefined if there are none of these images. */
  read(): SavedSums | undefined;
  /** Never throws: what cannot be kept is computed again. */
  write(sums: SavedSums): void;
}

/** Sums over the parts of the training images that are done. */
export interface SavedSums {
  totals: Totals;
  /** [parts] 1 for each part that is done. */
  done: Uint8Array;
  /** Images that could not be read. */
  skipped: number;
}

/** Images of a part: two seconds of work, so that a process that is killed loses little, and waits little at its end. */
const PART_IMAGES = 512;

const KEEP_EVERY_MS = 30_000;

/**
 * Reads every training image once, in `threads` threads. The sums are of whole numbers, so neither the order of the images
 * nor the number of threads matters.
 * @throws DataError for an unreadable image with `fail`, if no image can be read, or if the signal is aborted.
 */
export async function statisticsOfFiles(dataset: FileDataset, options: ComputeOptions): Promise<Statistics> {
  const { folder, train, stored } = dataset;
  const { resize, channels, interpolation, upright, onBadImage, concurrency, signal } = options;
  const { partImages = PART_IMAGES, keepEveryMs = KEEP_EVERY_MS, kept } = options;
  const parts = Math.ceil(train.count / partImages);
  const { threads = parts > 1 ? concurrency : 0 } = options;
  const saved = savedSums(options, parts);
  const done = saved?.done ?? new Uint8Array(parts);
  let skipped = saved?.skipped ?? 0;
  const sums = createSums(resize, resize, channels);
  if (saved) sums.merge(saved.totals);

  let counted = sums.count() + skipped;
  const progress = () => options.progress?.(counted, train.count);
  const waiting = Array.from(done.keys()).filter((part) => done[part] === 0);
  const setup = {
    folder,
    train,
    stored,
    resize,
    channels,
    interpolation,
    upright,
    onBadImage,
    order: orderOfReading(train),
  };
  const summers =
    threads > 0
      ? openSummers({ ...setup, concurrency: 2 }, Math.max(1, Math.min(threads, waiting.length)))
      : openSummer({ ...setup, concurrency }, () => {
          counted++;
          progress();
        });
  if (threads > 0) progress();
  let keptAt = performance.now();
  const run = async () => {
    for (let part = waiting.shift(); part !== undefined; part = waiting.shift()) {
      signal?.throwIfAborted();
      const [from, to] = [part * partImages, Math.min((part + 1) * partImages, train.count)];
      const found = await summers.sum({ from, to });
      refuseUnreadable(dataset, found);
      sums.merge(found.totals);
      skipped += found.skipped;
      done[part] = 1;
      if (threads > 0) {
        counted += to - from;
        progress();
      }
      if (performance.now() - keptAt < keepEveryMs || waiting.length === 0) continue;
      kept?.write({ totals: sums.totals(), done, skipped });
      keptAt = performance.now();
    }
  };
  try {
    await untilAborted(Promise.all(Array.from({ length: Math.max(1, threads) }, run)), signal);
  } catch (error) {
    waiting.length = 0;
    if (sums.count() > 0) kept?.write({ totals: sums.totals(), done, skipped });
    throw signal?.aborted ? stoppedError(ACTION, folder) : error;
  } finally {
    await summers.close();
  }
  const images = sums.count();
  if (images > 0) return { images, resize, channels, mean: sums.mean(), colours: sums.colours() };
  throw new DataError(
    `Cannot ${ACTION} of ${folder}: none of its training images can be read, expected at least one; \`data check\` lists why`,
  );
}

/** The sums of an earlier process that fit. With `fail` those without a skipped image: the image is to be named. */
function savedSums({ kept, resize, channels, onBadImage }: ComputeOptions, parts: number): SavedSums | undefined {
  const saved = kept?.read();
  if (!saved || (onBadImage === 'fail' && saved.skipped > 0)) return undefined;
  const { values, products } = saved.totals;
  const fits = values.length === resize * resize * channels && products.length === channels * channels;
  return fits && saved.done.length === parts ? saved : undefined;
}

/** Shard after shard, each from its beginning to its end. */
function orderOfReading({ count, places }: FileDataset['train']): Uint32Array | undefined {
  if (!places) return undefined;
  const { shard, offset } = places;
  const order = new Uint32Array(new SharedArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) order[i] = i;
  return order.sort((a, b) => shard[a]! - shard[b]! || offset[a]! - offset[b]!);
}

function refuseUnreadable({ folder, train }: FileDataset, { bad, systemFault }: SumResult): void {
  if (systemFault !== undefined) throw new DataError(systemFault);
  if (!bad) return;
  throw new DataError(
    `Cannot ${ACTION} of ${folder}: the image ${nameAt(train.names, bad.index)} is unreadable: ${bad.reason}, expected an image; remove it, or continue without it with --on-bad-image skip`,
  );
}

/** Rejects as soon as the signal is aborted: a thread that waits for a disk may take long. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** For images in memory. Stretching is linear, so the mean of the stretched images is the stretched mean. */
export function statisticsOfPixels({ height, width, channels, train }: PixelDataset, resize: number): Statistics {
  const values = height * width * channels;
  const sums = createSums(height, width, channels);
  for (let at = 0; at < train.images.length; at += values) sums.add(train.images.subarray(at, at + values));
  const mean = new Float32Array(new SharedArrayBuffer(4 * resize * resize * channels));
  createCrop({ height, width, channels }, resize, resize)(mean, sums.values, 0, 0, 0, false);
  for (let i = 0; i < mean.length; i++) mean[i]! /= sums.count();
  return { images: train.count, resize, channels, mean, colours: sums.colours() };
}
