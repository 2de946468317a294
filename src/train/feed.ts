/** A config's data set, and the feeder of its batches. */
import type { Config } from '../config/config.js';
import { type BatchFeeder, type Dataset, openDataset, openFeeder, type Unreadable } from '../data/index.js';

/**
 * Loads the images and opens their feeder, to be closed by the caller.
 * @param onUnreadable told of each image that is skipped because it cannot be read, once.
 * @throws DataError for what is no data.
 */
export function openFeed(
  { batchSize, net, seed, data }: Config,
  onUnreadable: (image: Unreadable) => void = () => {},
): { dataset: Dataset; feeder: BatchFeeder } {
  const { inputSize, inputChannels, classes } = net;
  const dataset = openDataset(data.source, classes);
  const options = { dataset, batchSize, inputSize, inputChannels, seed, data, onUnreadable };
  return { dataset, feeder: openFeeder(options) };
}
