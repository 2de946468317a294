/** A config's data set, and the feeder of its batches. */
import type { Config } from '../config/config.js';
import { type BatchFeeder, type Dataset, loadDataset, openFeeder, type Views } from '../data/index.js';

/**
 * Loads the images and opens their feeder, to be closed by the caller.
 * @param views of each test image.
 * @throws DataError for what is no data.
 */
export function openFeed(
  { batchSize, net, seed, data }: Config,
  views: Views = 1,
): { dataset: Dataset; feeder: BatchFeeder } {
  const { inputSize, inputChannels, classes } = net;
  const dataset = loadDataset(data.source, classes);
  return { dataset, feeder: openFeeder({ dataset, batchSize, inputSize, inputChannels, seed, data, views }) };
}
