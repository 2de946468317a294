/** A config's data set, and the feeder of its batches. */
import { join } from 'node:path';
import type { Config } from '../config/config.js';
import {
  type BatchFeeder,
  type Dataset,
  needsStatistics,
  notesOfProgress,
  openDataset,
  openFeeder,
  patiently,
  requireTestImage,
  type Statistics,
  statisticsOf,
  type Unreadable,
  type Views,
} from '../data/index.js';
import { DataError } from '../errors.js';
import { usableCores } from '../limits.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { cacheFolder } from '../native/install/library.js';
import { ANSWER_FACTOR } from './tower-deadline.js';
import { withDeadline } from './waiting.js';

/** Who hears what happens on the way, and what is known already. */
export interface FeedUi {
  /** A sentence: what takes long, and how far it is. */
  note?: ((text: string) => void) | undefined;
  /** Of each image that is skipped because it cannot be read, once, and of files that are passed over; without it `note` is. */
  warn?: (message: string) => void;
  /** Ends what takes long. */
  signal?: AbortSignal;
  /** Of the images that the weights were trained on, when they are not the data's. */
  statistics?: Statistics | undefined;
  /** Of each test image. */
  views?: Views;
}

export interface Feed {
  dataset: Dataset;
  feeder: BatchFeeder;
  /** When the settings need them. */
  statistics: Statistics | undefined;
}

/**
 * Loads the images and opens their feeder, to be closed by the caller. Computes what the settings need of all training
 * images, when it has not been computed before.
 * @throws DataError for what is no data.
 */
export async function openFeed(config: Config, ui: FeedUi = {}): Promise<Feed> {
  const { batchSize, net, seed, data } = config;
  const { inputSize, inputChannels, classes } = net;
  const { note = () => {}, warn = note } = ui;
  const dataset = await patiently(
    () => data.source,
    () => openDataset(data.source, classes),
    { signal: ui.signal },
  );
  for (const remark of dataset.remarks ?? []) warn(`${data.source}: ${remark}`);
  if (dataset.kind === 'files' && data.onBadImage === 'skip') {
    await requireTestImage(dataset, { resize: data.resize, channels: channelsOf(net), signal: ui.signal });
  }
  const statistics = ui.statistics ?? (await neededStatistics(config, dataset, ui));
  const options = {
    dataset,
    batchSize,
    inputSize,
    inputChannels,
    seed,
    data,
    statistics,
    onUnreadable: (image: Unreadable) => warn(skipped(image)),
    bytesToAlignment,
    views: ui.views ?? 1,
  };
  return {
    dataset,
    feeder: withBatchDeadline(openFeeder(options), ANSWER_FACTOR * config.exchangeTimeoutMs),
    statistics,
  };
}

/** The feeder, whose batches come in time or not at all. */
function withBatchDeadline(feeder: BatchFeeder, ms: number): BatchFeeder {
  const late = (batch: string) => () =>
    new DataError(
      `Cannot go on: ${batch} has not been filled for ${ms / 1000} s, expected it within ${ANSWER_FACTOR} times exchangeTimeoutMs; check the disk, then go on from the last checkpoint with --resume, or with a larger exchangeTimeoutMs in the config if it was only slow`,
    );
  return {
    ...feeder,
    train: (step) => withDeadline(feeder.train(step), ms, late(`the training batch of step ${step}`)),
    test: (batch, view) => withDeadline(feeder.test(batch, view), ms, late(`test batch ${batch}`)),
    sample: () => withDeadline(feeder.sample(), ms, late('the sample of test images')),
  };
}

async function neededStatistics(
  { net, data }: Config,
  dataset: Dataset,
  { note, warn = note, signal }: FeedUi,
): Promise<Statistics | undefined> {
  if (!needsStatistics(data)) return undefined;
  const { resize, onBadImage } = data;
  return statisticsOf(dataset, {
    ...{ resize, onBadImage, atOnce: usableCores() },
    get cache() {
      return join(cacheFolder(), 'data');
    },
    channels: channelsOf(net),
    progress: notesOfProgress('mean of the training images, computed once', note),
    warn: warn ?? (() => {}), // the run keeps its own
    ...(signal && { signal }),
  });
}

/** Of the images that a net reads. */
function channelsOf({ inputChannels }: Config['net']): 1 | 3 {
  return inputChannels === 1 ? 1 : 3;
}

/** What is told of an image that is skipped. */
function skipped({ path, reason }: Unreadable): string {
  return `the image ${path} is skipped: ${reason}`;
}
