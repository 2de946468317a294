/** What is computed once of all training images: the mean image, and the principal components of their colours. */
import { DataError } from '../../errors.js';
import { forEachIndex } from '../at-once.js';
import { type Colours, componentsOf } from '../images/colours.js';
import { openDecoder } from '../images/decode.js';
import { type FileDataset, openReader } from '../images/reader.js';
import { createCut } from '../images/window.js';
import type { Progress } from '../progress.js';
import type { PixelDataset } from '../sets/idx-dataset.js';
import { nameAt } from '../sets/names.js';

export interface Statistics {
  /** Images in it; those that cannot be read are not. */
  readonly images: number;
  readonly resize: number;
  readonly channels: 1 | 3;
  /** Mean image, float32 [resize, resize, channels], grey levels; in memory that threads can share. */
  readonly mean: Float32Array;
  readonly colours: Colours;
}

export interface SumOptions {
  resize: number;
  channels: 1 | 3;
  onBadImage: 'fail' | 'skip';
  /** Images that are decoded at once. */
  atOnce: number;
  progress?: Progress;
  signal?: AbortSignal;
}

/**
 * Reads every training image once. Sums are of whole numbers, so their order does not matter.
 * @throws DataError for an image that cannot be read, with `fail`; when none can; when the signal ends it.
 */
export async function statisticsOfFiles(
  { folder, train }: FileDataset,
  { resize, channels, onBadImage, atOnce, progress, signal }: SumOptions,
): Promise<Statistics> {
  const decode = await openDecoder(resize, channels);
  const reader = openReader(folder, train, { signal });
  const sums = createSums(resize, channels);
  let done = 0;
  try {
    await forEachIndex(train.count, atOnce, async (index) => {
      if (signal?.aborted) throw stopped(folder);
      const decoded = await reader.load(index, decode);
      if ('pixels' in decoded) sums.add(decoded.pixels);
      else if (onBadImage === 'fail') throw unreadable(folder, nameAt(train.names, index), decoded.reason);
      progress?.(++done, train.count);
    });
  } catch (error) {
    throw signal?.aborted ? stopped(folder) : error;
  } finally {
    reader.close();
  }
  if (sums.images > 0) return sums.result();
  throw new DataError(
    `Cannot compute the mean image of ${folder}: none of its training images can be read, expected some; \`data check\` lists why`,
  );
}

/** The work on a folder's images was told to end. */
export function stopped(folder: string): DataError {
  return new DataError(
    `Cannot compute the mean image of ${folder}: it was stopped, expected time for all training images; run it again`,
  );
}

function unreadable(folder: string, path: string, reason: string): DataError {
  return new DataError(
    `Cannot compute the mean image of ${folder}: the image ${path} is unreadable: ${reason}, expected an image; take it away, or go on without it with --on-bad-image skip`,
  );
}

/** Of images in memory. Stretching is linear, so the mean of the stretched images is the stretched mean. */
export function statisticsOfPixels({ height, width, channels, train }: PixelDataset, resize: number): Statistics {
  const values = height * width * channels;
  const sums = new Float64Array(values);
  let squares = 0;
  for (let at = 0; at < train.count * values; at += values) {
    for (let i = 0; i < values; i++) {
      const value = train.images[at + i]!;
      sums[i]! += value;
      squares += value * value;
    }
  }
  const mean = new Float32Array(new SharedArrayBuffer(4 * resize * resize * channels));
  createCut({ height, width, channels }, resize, resize)(mean, sums, 0, 0, 0, false);
  for (let i = 0; i < mean.length; i++) mean[i]! /= train.count;
  const pixels = train.count * values;
  const grey = sums.reduce((sum, value) => sum + value, 0) / pixels;
  const variance = squares / pixels - grey * grey;
  const covariance = Array.from({ length: 3 }, () => [variance, variance, variance]);
  return { images: train.count, resize, channels, mean, colours: componentsOf(covariance) };
}

/** Sums over images [resize, resize, channels]. */
function createSums(resize: number, channels: 1 | 3) {
  const sums = new Float64Array(resize * resize * channels);
  /** Of products of two channels of a pixel. */
  const products = new Float64Array(channels * channels);
  const state = { images: 0, add, result };
  return state;

  function add(pixels: Uint8Array): void {
    state.images++;
    for (let i = 0; i < pixels.length; i++) sums[i]! += pixels[i]!;
    if (channels === 1) {
      let squares = 0;
      for (let i = 0; i < pixels.length; i++) squares += pixels[i]! * pixels[i]!;
      products[0]! += squares;
      return;
    }
    let [rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < pixels.length; i += 3) {
      const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
      rr += r * r;
      rg += r * g;
      rb += r * b;
      gg += g * g;
      gb += g * b;
      bb += b * b;
    }
    for (const [i, value] of [rr, rg, rb, rg, gg, gb, rb, gb, bb].entries()) products[i]! += value;
  }

  function result(): Statistics {
    const mean = new Float32Array(new SharedArrayBuffer(4 * sums.length));
    for (let i = 0; i < sums.length; i++) mean[i] = sums[i]! / state.images;
    const pixels = state.images * resize * resize;
    const means = Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let i = c; i < sums.length; i += channels) sum += sums[i]!;
      return sum / pixels;
    });
    const at = (i: number) => Math.min(i, channels - 1); // grey is all three
    const covariance = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => products[at(i) * channels + at(j)]! / pixels - means[at(i)]! * means[at(j)]!),
    );
    return { images: state.images, resize, channels, mean, colours: componentsOf(covariance) };
  }
}
