/** Fills slots: what a data thread does, and the main thread without one. */
import { createPainter, drawChanges, type ImageOptions } from './augment.js';
import { createOrder, type Range, slotViews, testRange, trainRange } from './batches.js';
import type { Dataset } from './dataset.js';
import { changesOfViews, type Views } from './views.js';

/** All that filling depends on; crosses to a data thread once, the big arrays shared. */
export interface FillSetup {
  readonly dataset: Dataset;
  readonly batchSize: number;
  readonly inputSize: number;
  readonly inputChannels: number;
  readonly seed: number;
  readonly data: ImageOptions;
  /** Views of each test image; the numbers of its batches count them: batch 0 in each view, then batch 1. */
  readonly views?: Views;
  readonly slots: readonly SharedArrayBuffer[];
}

/** A part of a batch to fill, so that several threads can share in one. */
export interface FillTask {
  kind: 'training' | 'test';
  /** The step from 1 of a training batch, the number from 0 of a test batch. */
  number: number;
  slot: number;
  /** This is part `part` of `parts`. */
  part: number;
  parts: number;
}

export function rangeOf({ dataset, batchSize, views = 1 }: FillSetup, kind: FillTask['kind'], number: number): Range {
  return kind === 'training'
    ? trainRange(number, dataset.train.count, batchSize)
    : testRange(Math.floor(number / views), dataset.test.count, batchSize);
}

/** Prepares the filling; what it returns is for one thread. @throws ConfigError for options that do not fit. */
export function createFiller(setup: FillSetup): (task: FillTask) => void {
  const { dataset, batchSize, inputSize, inputChannels, seed, data } = setup;
  const paint = createPainter(dataset, data, inputSize, inputChannels);
  const orderOf = createOrder(dataset.train.count, seed);
  const views = setup.slots.map((slot) => slotViews(slot, batchSize, inputSize, inputChannels));
  const plain = changesOfViews(setup.views ?? 1, data.resize, inputSize);
  const sourceValues = dataset.height * dataset.width * dataset.channels;
  const inputValues = inputSize * inputSize * inputChannels;

  return ({ kind, number, slot, part, parts }) => {
    const training = kind === 'training';
    const { from, count, epoch } = rangeOf(setup, kind, number);
    const order = training ? orderOf(epoch) : undefined;
    const set = training ? dataset.train : dataset.test;
    const { images, labels } = views[slot]!;
    const end = Math.floor((count * (part + 1)) / parts);
    for (let i = Math.floor((count * part) / parts); i < end; i++) {
      const index = order ? order[from + i]! : from + i;
      const changes = training ? drawChanges(data, inputSize, seed, index, epoch) : plain[number % plain.length]!;
      paint(images, i * inputValues, set.images, index * sourceValues, changes);
      labels[i] = set.labels[index]!;
    }
  };
}
