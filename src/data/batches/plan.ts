/** Which images each batch holds. */
import { shuffled } from '../../random.js';
import type { Views } from '../images/augment.js';
import type { Dataset } from '../sets/dataset.js';
import { nameAt } from '../sets/names.js';
import { spread } from '../sets/spread.js';
import { type Window, windowOrder } from './window.js';

/** `sample` is one batch of test images that are spread over the whole test set. */
export type BatchKind = 'training' | 'test' | 'sample';

export interface PlanOptions {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly seed: number;
  /** Views of each test image. Test batches are numbered by view: batch 0 in every view, then batch 1. */
  readonly views?: Views;
  /** Mixes packed training images in a window; without it every order of the training images is equally likely. */
  readonly window?: Window;
}

export function batchesOf(images: number, batchSize: number): number {
  return Math.ceil(images / batchSize);
}

/**
 * A batch as a range of an order of images: the position of its first image, their number, and the epoch from 0.
 * @param number the step from 1 of a training batch, or the number from 0 of a test batch.
 */
export function rangeOf({ dataset, batchSize, views = 1 }: PlanOptions, kind: BatchKind, number: number) {
  const isTraining = kind === 'training';
  const images = (isTraining ? dataset.train : dataset.test).count;
  const batches = batchesOf(images, batchSize);
  const batch = isTraining ? (number - 1) % batches : Math.floor(number / views);
  const from = batch * batchSize;
  const epoch = isTraining ? Math.floor((number - 1) / batches) : 0;
  return { from, count: Math.min(batchSize, images - from), epoch };
}

/**
 * Returns the image indices of an epoch by position; undefined for test batches, whose images are in the data set's order.
 * It caches the order of the last epoch; for one thread.
 */
export function createOrders({ dataset: { train, test }, batchSize, seed, window }: PlanOptions) {
  let cached: { epoch: number; order: Uint32Array } | undefined;
  return (kind: BatchKind, epoch: number) => {
    if (kind === 'test') return undefined;
    if (kind === 'sample') return spread(test.count, Math.min(batchSize, test.count), seed);
    if (cached?.epoch === epoch) return cached.order;
    cached = { epoch, order: window ? windowOrder(window, seed, epoch) : shuffled(train.count, seed, epoch) };
    return cached.order;
  };
}

/**
 * The images of a training batch in its order: paths relative to the data set's folder, or indices for images in memory.
 * @param isUnreadable whether an image was skipped; the next readable image of the epoch replaces it.
 */
export function imagesOf(
  options: PlanOptions,
  orderOf: ReturnType<typeof createOrders>,
  step: number,
  isUnreadable: (index: number) => boolean,
): string[] {
  const { dataset } = options;
  const { from, count, epoch } = rangeOf(options, 'training', step);
  const order = orderOf('training', epoch)!;
  return Array.from({ length: count }, (_, i) => {
    let place = from + i;
    for (let tries = 1; tries < order.length && isUnreadable(order[place % order.length]!); tries++) place++;
    const index = order[place % order.length]!;
    return dataset.kind === 'files' ? nameAt(dataset.train.names, index) : String(index);
  });
}

/** Names a batch in messages. */
export function describeBatch(kind: BatchKind, number: number): string {
  if (kind === 'sample') return 'the sample of test images';
  return kind === 'training' ? `the training batch of step ${number}` : `test batch ${number}`;
}
