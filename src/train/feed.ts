/** A config's data set, and the feeder of its batches. */
import type { Config } from '../config/config.js';
import { type BatchFeeder, type Dataset, loadDataset, openFeeder } from '../data/index.js';

/** Loads the images and opens their feeder, to be closed by the caller. @throws DataError for what is no data. */
export function openFeed({ batchSize, net, seed, data }: Config): { dataset: Dataset; feeder: BatchFeeder } {
  const { inputSize, inputChannels, classes } = net;
  const dataset = loadDataset(data.source, classes);
  return { dataset, feeder: openFeeder({ dataset, batchSize, inputSize, inputChannels, seed, data }) };
}
