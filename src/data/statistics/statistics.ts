/** Statistics of all training images: the mean image, and the principal components of the colours. */
import { DataError } from '../../errors.js';
import { type Colours, principalComponents } from '../images/colours.js';
import { createCrop } from '../images/crop.js';
import { type Interpolation, openDecoder } from '../images/decode.js';
import { forEachImage, type Progress } from '../images/each-image.js';
import type { FileDataset, PixelDataset } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';

export interface Statistics {
  /** Number of images, without unreadable ones. */
  readonly images: number;
  readonly resize: number;
  readonly channels: 1 | 3;
  /** Mean image, float32 [resize, resize, channels], grey levels; on a SharedArrayBuffer. */
  readonly mean: Float32Array;
  readonly colours: Colours;
}

export interface ComputeOptions {
  resize: number;
  channels: 1 | 3;
  interpolation?: Interpolation | undefined;
  onBadImage: 'fail' | 'skip';
  concurrency: number;
  progress?: Progress;
  signal?: AbortSignal;
}

export const ACTION = 'compute the mean image';

/**
 * Reads every training image once. The sums are of whole numbers, so their order does not matter.
 * @throws DataError for an unreadable image with `fail`, if no image can be read, or if the signal is aborted.
 */
export async function statisticsOfFiles(
  { folder, train }: FileDataset,
  { resize, channels, interpolation, onBadImage, concurrency, progress, signal }: ComputeOptions,
): Promise<Statistics> {
  const decode = await openDecoder(resize, channels, interpolation);
  const sums = createSums(resize, resize, channels);
  let done = 0;
  await forEachImage(folder, train, { action: ACTION, concurrency, signal }, async (index, reader) => {
    const decoded = await reader.read(index, decode);
    if ('pixels' in decoded) sums.add(decoded.pixels);
    else if (onBadImage === 'fail') {
      throw new DataError(
        `Cannot ${ACTION} of ${folder}: the image ${nameAt(train.names, index)} is unreadable: ${decoded.reason}, expected an image; remove it, or continue without it with --on-bad-image skip`,
      );
    }
    progress?.(++done, train.count);
  });
  const images = sums.count();
  if (images > 0) return { images, resize, channels, mean: sums.mean(), colours: sums.colours() };
  throw new DataError(
    `Cannot ${ACTION} of ${folder}: none of its training images can be read, expected at least one; \`data check\` lists why`,
  );
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

/** Sums over images [height, width, channels]. */
export function createSums(height: number, width: number, channels: 1 | 3) {
  const sums = new Float64Array(height * width * channels);
  /** Of products of two channels of a pixel. */
  const products = new Float64Array(channels * channels);
  let images = 0;
  return { count: () => images, values: sums, add, mean, colours, levels };

  function add(pixels: Uint8Array): void {
    images++;
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

  function mean(): Float32Array {
    const mean = new Float32Array(new SharedArrayBuffer(4 * sums.length));
    for (let i = 0; i < sums.length; i++) mean[i] = sums[i]! / images;
    return mean;
  }

  /** The mean of each channel, and the standard deviation from these of all values. */
  function levels(): { mean: number[]; deviation: number } {
    const pixels = images * height * width;
    const means = meansOf(pixels);
    const variances = means.map((mean, c) => products[c * channels + c]! / pixels - mean * mean);
    const variance = variances.reduce((sum, each) => sum + each, 0) / channels;
    return { mean: means, deviation: Math.sqrt(Math.max(variance, 0)) };
  }

  function meansOf(pixels: number): number[] {
    return Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let i = c; i < sums.length; i += channels) sum += sums[i]!;
      return sum / pixels;
    });
  }

  function colours(): Colours {
    const pixels = images * height * width;
    const means = meansOf(pixels);
    const at = (i: number) => Math.min(i, channels - 1); // grey stands for all three
    const covariance = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => products[at(i) * channels + at(j)]! / pixels - means[at(i)]! * means[at(j)]!),
    );
    return principalComponents(covariance);
  }
}
