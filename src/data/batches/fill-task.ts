/** What a data thread is told, and what it answers. */
import { type Changes, drawChanges, type ImageOptions } from '../images/augment.js';
import { type Colours, drawNoise } from '../images/colours.js';
import type { Views } from '../images/views.js';
import type { Dataset } from '../sets/idx-dataset.js';
import { createOrder, type Range, spread, testRange, trainRange } from './slots.js';

/** All that filling depends on; crosses to a data thread once, the big arrays shared. */
export interface FillSetup<Kind extends Dataset = Dataset> {
  readonly dataset: Kind;
  readonly batchSize: number;
  readonly inputSize: number;
  readonly inputChannels: number;
  readonly seed: number;
  readonly data: ImageOptions;
  /** For `data.meanImage`, [resize, resize, channels of the images]. */
  readonly meanImage?: Float32Array;
  /** For `data.colourNoise`. */
  readonly colours: Colours;
  /** Views of each test image; the numbers of its batches count them: batch 0 in each view, then batch 1. */
  readonly views?: Views;
  readonly slots: readonly SharedArrayBuffer[];
  /** How many shards a thread may have open of each set. */
  readonly mostOpen?: number;
}

/** A part of a batch to fill, so that several threads can share in one. */
export interface FillTask {
  /** `sample`: test images from all over their set, as many as a batch has. */
  kind: 'training' | 'test' | 'sample';
  /** The step from 1 of a training batch, the number from 0 of a test batch; of the sample 0. */
  number: number;
  slot: number;
  /** This is part `part` of `parts`. */
  part: number;
  parts: number;
}

/** An image that cannot be read. */
export interface BadImage {
  /** In its set. */
  index: number;
  reason: string;
}

/** What became of a part; nothing to say of images in memory. */
export interface Filled {
  /** Images that could not be read, in the order of the batch; with `skip`, those that this thread had not met before. */
  bad: BadImage[];
  /** Places of the batch that nothing was written to. */
  holes: number[];
  /** Why the part was not filled to its end, a sentence: the system had trouble, and it lasted. */
  trouble?: string;
}

/** Fills parts of batches; for one thread. */
export interface Filler {
  fill(task: FillTask): Promise<Filled> | undefined;
  close(): void;
}

export function rangeOf(
  { dataset, batchSize, views = 1 }: Pick<FillSetup, 'dataset' | 'batchSize' | 'views'>,
  kind: FillTask['kind'],
  number: number,
): Range {
  return kind === 'training'
    ? trainRange(number, dataset.train.count, batchSize)
    : testRange(Math.floor(number / views), dataset.test.count, batchSize);
}

/** Which images a range has, by kind and epoch, as indices by place; none where place and index are the same. For one thread. */
export function createOrders({ dataset, batchSize, seed }: Pick<FillSetup, 'dataset' | 'batchSize' | 'seed'>) {
  const { train, test } = dataset;
  const training = createOrder(train.count, seed);
  return (kind: FillTask['kind'], epoch: number): Uint32Array | undefined => {
    if (kind === 'training') return training(epoch);
    return kind === 'sample' ? spread(test.count, Math.min(batchSize, test.count), seed) : undefined;
  };
}

/** The places of the batch that a part has, from `begin` to below `end`. */
export function placesOf(count: number, { part, parts }: FillTask): { begin: number; end: number } {
  return { begin: Math.floor((count * part) / parts), end: Math.floor((count * (part + 1)) / parts) };
}

/** The changes of a training image that stands at `place` of the epoch's order. */
export function changesOf(
  { data, inputSize, seed, colours }: FillSetup,
  index: number,
  epoch: number,
  place: number,
): Changes {
  const changes = drawChanges(data, inputSize, seed, index, epoch, place);
  const noise = drawNoise(colours, data.colourNoise, seed, index, epoch);
  return noise ? { ...changes, noise } : changes;
}
