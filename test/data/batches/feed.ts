/** Feeders of tests, and copies of their batches. */
import type { TestContext } from 'node:test';
import { type Batch, type BatchFeeder, type FeedOptions, openFeeder, slotViews } from '../../../src/data/index.js';

/** A feeder that is closed after the test. */
export function open(t: TestContext, options: FeedOptions): BatchFeeder {
  const feeder = openFeeder(options);
  t.after(() => feeder.close());
  return feeder;
}

/** Copies of a batch's images and labels. */
export function contents(feeder: BatchFeeder, options: FeedOptions, { slot, count }: Batch) {
  const { batchSize, inputSize, inputChannels } = options;
  const { images, labels } = slotViews(feeder.slots[slot]!, batchSize, inputSize, inputChannels);
  return {
    images: images.slice(0, count * inputSize * inputSize * inputChannels),
    labels: labels.slice(0, count),
  };
}
