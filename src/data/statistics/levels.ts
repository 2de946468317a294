/** Mean and deviation of the training images' grey levels, for `data.mean` and `data.scale` of the settings. */
import { DataError } from '../../errors.js';
import { type Decoding, openDecoder } from '../images/decode.js';
import { forEachImage } from '../images/each-image.js';
import type { Dataset, FileDataset } from '../sets/dataset.js';
import { spread } from '../sets/spread.js';
import type { ComputeOptions } from './statistics.js';
import { createSums } from './sums.js';

type LevelsOptions = Pick<ComputeOptions, 'resize' | 'channels' | keyof Decoding | 'concurrency' | 'signal'>;

export interface Levels {
  /** One grey level per channel of the images, 0 to 255. */
  readonly mean: readonly number[];
  /** Standard deviation of all values from the mean of their channel, in grey levels. */
  readonly deviation: number;
  /** Number of images that were measured. */
  readonly images: number;
}

/**
 * Image files that are read at most: about a second's work. The mean of photos whose own means differ by 40 grey levels is
 * then known to 2 levels.
 */
const MOST_FILES = 500;

const ACTION = 'measure the grey levels';

/**
 * Measures the training images: all of them if they are in memory, otherwise up to 500, which are spread over the list of
 * files. These are the same for every seed, so that the numbers depend on the data alone.
 * Unreadable files are left out.
 * @throws DataError if no image can be read, or if the signal is aborted.
 */
export function levelsOf(dataset: Dataset, options: LevelsOptions): Promise<Levels> | Levels {
  if (dataset.kind === 'files') return levelsOfFiles(dataset, options);
  const { height, width, channels, train } = dataset;
  const values = height * width * channels;
  const sums = createSums(height, width, channels);
  for (let at = 0; at < train.images.length; at += values) sums.add(train.images.subarray(at, at + values));
  return { ...sums.levels(), images: train.count };
}

async function levelsOfFiles(
  { folder, train, stored }: FileDataset,
  { resize, channels, interpolation, upright, concurrency, signal }: LevelsOptions,
): Promise<Levels> {
  const decode = await openDecoder(resize, channels, { interpolation, upright }, stored);
  const sums = createSums(resize, resize, channels);
  const only = spread(train.count, Math.min(MOST_FILES, train.count), 0);
  await forEachImage(folder, train, { action: ACTION, concurrency, signal, only }, async (index, reader) => {
    const decoded = await reader.read(index, decode);
    if ('pixels' in decoded) sums.add(decoded.pixels); // the training itself reports those that cannot be read
  });
  if (sums.count() > 0) return { ...sums.levels(), images: sums.count() };
  throw new DataError(
    `Cannot ${ACTION} of ${folder}: none of ${only.length} training images can be read, expected at least one; \`data check\` lists why`,
  );
}
