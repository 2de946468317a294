/** Opens a config's data set, and the feeder of its batches. */
import { join } from 'node:path';
import { type Config, imagesPerStep } from '../config/config.js';
import {
  type BatchFeeder,
  channelsFor,
  type Dataset,
  listImages,
  needsStatistics,
  openDataset,
  openFeeder,
  progressNotes,
  requireTestImage,
  retryRead,
  type Statistics,
  statisticsOf,
  type UnreadableImage,
  type Views,
  withTrainingSample,
} from '../data/index.js';
import { DataError } from '../errors.js';
import { usableCores, usableMemory } from '../limits.js';
import { bytesToAlignment } from '../native/c/copy.js';
import { cacheFolder } from '../native/install/library.js';
import { count, mebibytes, plural } from '../numbers.js';
import { MOST_DECODERS, poolThreads, widenPool } from '../pool-threads.js';
import { dataWorkersOf } from './data-workers.js';
import { measured } from './levels.js';
import { ANSWER_FACTOR } from './tower-deadline.js';
import { withDeadline } from './waiting.js';

/** Loaded by the data workers. */
export const JPEG_DECODER = new URL('../native/binding/jpeg.js', import.meta.url).href;

export interface FeedUi {
  /** Receives a sentence about slow work, and its progress. */
  note?: ((text: string) => void) | undefined;
  /** Receives a sentence about each unreadable image, and about ignored files. The default is `note`. */
  warn?: (message: string) => void;
  /** Ends slow work. */
  signal?: AbortSignal;
  /** Of the images that the weights were trained on, if they are not those of the data. */
  statistics?: Statistics | undefined;
  /** Whether to compare the settings' mean with that of the images. */
  warnOfMean?: boolean;
  /** How many views of each test image the feeder offers. */
  views?: Views;
  /** `train`: training images take the place of the test images (see `withTrainingSample`). */
  testOn?: TestOn;
}

/** The images on which weights are evaluated. */
export type TestOn = 'test' | 'train';

/**
 * Opens the images and their feeder, which the caller closes. Computes the statistics of the training images if the
 * settings need them and no cache has them; otherwise they are undefined. `reopen` opens another feeder of the same images, or one
 * that only reads them.
 * `config` has the images' own levels where the settings say `data`.
 * @throws DataError if the data cannot be used.
 */
export async function openFeed(config: Config, options: FeedUi = {}) {
  const { net, seed } = config;
  const batchSize = imagesPerStep(config);
  const { inputSize, inputChannels, classes } = net;
  const { note = () => {}, warn = note, signal, views = 1, testOn = 'test' } = options;
  const { source, resize, interpolation, upright, onBadImage, valShare, limit } = config.data;
  const channels = channelsFor(inputChannels);
  const selection = { valShare, limit, resize, interpolation, upright, seed };
  const chosen = dataWorkersOf(config);
  const { workers, decoders } = chosen;
  widenPool(Math.max(decoders, Math.min(usableCores(), MOST_DECODERS))); // the statistics decode before the towers compute
  const opened = await retryRead(
    source,
    async () => openDataset(source, classes, channels, { ...selection, listed: await listImages(source, selection) }),
    { signal },
  );
  const dataset: Dataset = config.overfit ? ({ ...opened, test: opened.train } as Dataset) : opened;
  for (const remark of dataset.remarks ?? []) warn(`${source}: ${remark}`);
  if (dataset.kind === 'files' && onBadImage === 'skip') await requireTestImage(dataset, { resize, channels, signal });
  const data = await measured(config, dataset, { note, warn: options.warnOfMean ? warn : undefined, signal });
  let { statistics } = options;
  if (!statistics && needsStatistics(data)) {
    statistics = await statisticsOf(dataset, {
      ...{ resize, interpolation, upright, onBadImage, channels, concurrency: usableCores(), warn },
      get cache() {
        return join(cacheFolder(), 'data');
      },
      progress: progressNotes('mean of the training images, computed once', note),
      ...(signal && { signal }),
    });
  }
  if (dataset.kind === 'files') warnOfNarrowPool(decoders, warn);
  const fed = testOn === 'train' ? withTrainingSample(dataset) : dataset;
  if (data.shuffle === 'window') noteWindow(dataset, data.shuffleWindow!, note, warn);
  const open = (readOnly = false) => {
    const feeder = openFeeder({
      ...{
        dataset: fed,
        batchSize,
        inputSize,
        inputChannels,
        seed,
        statistics,
        bytesToAlignment,
        views,
        decoders,
        readOnly,
        jpegDecoder: JPEG_DECODER,
      },
      data: { ...data, workers },
      onUnreadable: ({ path, reason }: UnreadableImage) => warn(`the image ${path} is skipped: ${reason}`),
    });
    return withBatchDeadlines(feeder, ANSWER_FACTOR * config.exchangeTimeoutMs);
  };
  const { decoders: _, ...withoutDecoders } = chosen;
  const dataWorkers = dataset.kind === 'files' ? chosen : withoutDecoders;
  return { dataset, feeder: open(), statistics, reopen: open, config: { ...config, data }, dataWorkers };
}

/** Warns if there are fewer threads than decoders, because a program has started them before. */
function warnOfNarrowPool(decoders: number, warn: (message: string) => void): void {
  const threads = poolThreads();
  if (threads >= decoders) return;
  warn(
    `images are decoded in ${plural(threads, 'thread')}, though there are cores for ${decoders}: start the program with the environment variable UV_THREADPOOL_SIZE=${decoders}`,
  );
}

/** Says how much memory the shuffle window takes, and warns if there is less: its images are then read one by one. */
function noteWindow({ train }: Dataset, window: number, note: (text: string) => void, warn: (text: string) => void) {
  const sizes = 'places' in train ? train.places?.bytes : undefined;
  if (!sizes) return; // the feeder refuses them
  const images = Math.min(window, sizes.length);
  const bytes = (images * sizes.reduce((sum, size) => sum + size, 0)) / sizes.length;
  const what = `shuffle window of ${count(images)} images, which take ${mebibytes(bytes)} of the file cache`;
  const { free } = usableMemory();
  if (bytes < free) note(what);
  else
    warn(`${what}, and ${mebibytes(free)} are free: the disk will read single images; use a smaller --shuffle-window`);
}

/** The same feeder, which throws if a batch takes longer than `ms`. */
function withBatchDeadlines(feeder: BatchFeeder, ms: number): BatchFeeder {
  const timeoutError = (batch: string) => () =>
    new DataError(
      `Cannot continue: ${batch} has not been filled for ${ms / 1000} s, expected it within ${ANSWER_FACTOR} times exchangeTimeoutMs; check the disk, then continue from the last checkpoint with --resume, or with a larger exchangeTimeoutMs in the config if it was only slow`,
    );
  return {
    ...feeder,
    train: (step) => withDeadline(feeder.train(step), ms, timeoutError(`the training batch of step ${step}`)),
    test: (batch, view) => withDeadline(feeder.test(batch, view), ms, timeoutError(`test batch ${batch}`)),
    sample: () => withDeadline(feeder.sample(), ms, timeoutError('the sample of test images')),
  };
}
