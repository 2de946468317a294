/** Feeds batches to the towers through slots of shared memory, and fills the next ones while one is in use. */
import assert from 'node:assert/strict';
import { ConfigError, DataError } from '../../errors.js';
import { type ImageOptions, needsStatistics, type Views } from '../images/augment.js';
import { IMAGENET_COLOURS, usesOwnColours } from '../images/colours.js';
import { channelsFor } from '../images/decode.js';
import { MAX_OPEN_SHARDS } from '../images/reader.js';
import type { Dataset, FileDataset } from '../sets/dataset.js';
import type { Statistics } from '../statistics/statistics.js';
import { allocateDecoded, createTurns } from './decoded.js';
import { type FillSetup, layoutFor } from './filler.js';
import { type BatchKind, batchesOf, createOrders, imagesOf, rangeOf } from './plan.js';
import { closedError, openInline, openPool } from './pool.js';
import { createPrefetcher } from './prefetch.js';
import { openReadAhead } from './read-ahead.js';
import { createSlot, type SlotLayout, slotBytes } from './slots.js';
import { closeHoles, listUnreadable, type UnreadableImage } from './unreadable.js';
import { runsOf, type Window } from './window.js';

export interface FeedOptions {
  dataset: Dataset;
  batchSize: number;
  /** Height and width of the net's input, in pixels. */
  inputSize: number;
  inputChannels: number;
  seed: number;
  /** `workers` threads fill the slots; with 0 the calling thread does, during `train` and `test`. */
  data: ImageOptions & { readonly workers: number } & Shuffling;
  /** Images that all threads decode at the same time; by default one for each of them. */
  decoders?: number;
  /** See `Decoding.jpegDecoder`. */
  jpegDecoder?: string | undefined;
  /** Views of each test image; 1 by default. */
  views?: Views;
  /** Of the training images, if the options need them; see `needsStatistics`. */
  statistics?: Statistics | undefined;
  /** Bytes of decoded images that all threads keep, so that those of a small set are decoded once; by default 512 MiB. */
  keptBytes?: number;
  /** Whether images are only read, to measure how fast that is; see `FillSetup`. */
  readOnly?: boolean;
  /** Slots for training batches; 3 by default. Test batches have two more, their sample one. */
  slots?: number;
  bytesToAlignment?: (memory: SharedArrayBuffer) => number;
  /** Called once for each image that is skipped. */
  onUnreadable?: (image: UnreadableImage) => void;
}

/** The order of the training images in an epoch. */
export interface Shuffling {
  /** `full`, the default: every order is equally likely. `window`: packed images nearly as they lie in the shards. */
  readonly shuffle?: 'full' | 'window';
  /** For `window`: how many images are mixed. */
  readonly shuffleWindow?: number;
}

/** A batch in a slot, lent until it is released. */
export interface Batch {
  slot: number;
  /** Images in it: fewer than the batch size at the end of an epoch, and if test images cannot be read. */
  count: number;
  /** The training step, or the number of the test batch. */
  step: number;
  /** From 0; 0 for test batches. */
  epoch: number;
  /** Time that the threads took to fill the slot, all together. */
  decodeMs: number;
  /** Bytes of image files and shards that they read. */
  readBytes: number;
  /** Images of this kind of batches that were ready when it was asked for, its own among them. */
  readyImages: number;
}

/** One in use, one filled ahead. */
const TEST_SLOTS = 2;
/** The most that the threads keep of decoded images, so that those of a small set are decoded once and not in every epoch. */
const KEPT_BYTES = 2 ** 29;

/**
 * Opens a feeder and starts its threads; the caller closes it.
 * @throws ConfigError if the images do not fit the net's input, or there is no memory for the slots.
 */
export function openFeeder(options: FeedOptions) {
  const { dataset, batchSize, inputSize, inputChannels, seed, data, statistics } = options;
  const { views = 1, slots: trainSlots = 3 } = options;
  assert(statistics || !needsStatistics(data), 'the options need statistics');
  const window = windowOf(dataset, data);
  const imageBytes = data.resize ** 2 * channelsFor(inputChannels);
  const decoded = views > 1 && dataset.kind === 'files' ? allocateDecoded(batchSize, imageBytes) : undefined;
  const common = {
    ...{ dataset, batchSize, inputSize, inputChannels, seed, data, views, decoded },
    readOnly: options.readOnly === true,
    jpegDecoder: options.jpegDecoder,
    // Each thread opens shards of two parts.
    keptBytes: Math.floor((options.keptBytes ?? KEPT_BYTES) / (2 * Math.max(1, data.workers))),
    // One more waits for the decoder, which need not wait for the thread then.
    ahead: 1 + Math.ceil((options.decoders ?? 1) / Math.max(1, data.workers)),
    maxOpenShards: Math.max(1, Math.floor(MAX_OPEN_SHARDS / (2 * Math.max(1, data.workers)))),
    ...(window && { window }),
    ...(data.meanImage && { meanImage: statistics!.mean }),
    colours: usesOwnColours(data.colourNoise) ? statistics!.colours : IMAGENET_COLOURS,
  };
  const layout = layoutFor(common);
  const slots = allocateSlots(trainSlots + TEST_SLOTS + 1, layout, options.bytesToAlignment);
  const setup: FillSetup = { ...common, slots };
  const inline = openInline(setup); // checks the options before a thread is started
  const filler = data.workers > 0 ? openPool(setup, data.workers) : inline;
  const testBatches = batchesOf(dataset.test.count, batchSize);
  const unreadable = listUnreadable(dataset, data.onBadImage, options.onUnreadable);
  const takeTurns = decoded && createTurns(views);
  const orderOf = createOrders(setup);
  /** What was filled, by slot. */
  const filled = new Map<number, Pick<Batch, 'count' | 'decodeMs' | 'readBytes'>>();
  const readAhead = window && openAhead(dataset as FileDataset, window, seed, trainSlots * batchSize);

  const prefetch = (kind: BatchKind, from: number, to: number, last: number) =>
    createPrefetcher({
      slots: [...slots.keys()].slice(from, to),
      last,
      ahead: data.workers > 0,
      fill: (number, slot) => fill(kind, number, slot),
    });
  const prefetchers = {
    training: prefetch('training', 0, trainSlots, Number.POSITIVE_INFINITY),
    test: prefetch('test', trainSlots, trainSlots + TEST_SLOTS, testBatches * views - 1),
    sample: prefetch('sample', trainSlots + TEST_SLOTS, slots.length, 0),
  };
  let sample: Promise<Batch> | undefined;

  return {
    /** Shared memory of each slot: see `slotViews`. The towers read it in place until the batch is released. */
    slots: slots as readonly SharedArrayBuffer[],
    /** What is in the slots: grey levels, or the net's input. */
    layout,
    batchesPerEpoch: batchesOf(dataset.train.count, batchSize),
    testBatches,
    /** Images that were skipped so far. */
    unreadable: unreadable.images,
    /**
     * The batch of a step, from 1: a function of step and seed, in whatever order steps are requested. Fills the next ones
     * ahead. Waits while all training slots are lent.
     * @throws DataError that names the batch if it cannot be filled or the feeder is closed, or with `data.onBadImage`
     * `fail` the image that cannot be read.
     */
    async train(step: number): Promise<Batch> {
      assert(Number.isSafeInteger(step) && step >= 1, `there is no step ${step}`);
      const { epoch, from } = rangeOf(setup, 'training', step);
      readAhead?.follow(epoch, from);
      return take('training', step);
    },
    /** A test batch, from 0, in the data set's order and without random changes. Waits and throws like `train`. */
    async test(batch: number, view = 0): Promise<Batch> {
      assert(Number.isSafeInteger(batch) && batch >= 0 && batch < testBatches, `there is no test batch ${batch}`);
      assert(Number.isSafeInteger(view) && view >= 0 && view < views, `there is no view ${view}`);
      return take('test', batch * views + view);
    },
    /** Fills the first test batches ahead, beside the training batches: an evaluation is near. */
    prepareTest: (): void => prefetchers.test.prepare(0),
    /** A batch of images from the whole test set, always the same one. It is never released. Throws like `train`. */
    sample(): Promise<Batch> {
      sample ??= take('sample', 0);
      return sample;
    },
    /** The images of a training batch: paths, or indices for images in memory. */
    imagesOf: (step: number): readonly string[] => imagesOf(setup, orderOf, step, unreadable.has),
    /** Returns the slot when the towers no longer read it. */
    release({ slot, step }: Pick<Batch, 'slot' | 'step'>): void {
      prefetchers[slot < trainSlots ? 'training' : 'test'].release(slot, step);
    },
    /** Ends all threads; pending batches reject. */
    async close(): Promise<void> {
      for (const kind of ['training', 'test', 'sample'] as const) {
        prefetchers[kind].close((number) => closedError(kind, number));
      }
      await Promise.all([filler.close(), readAhead?.close()]);
    },
  };

  async function fill(kind: BatchKind, number: number, slot: number): Promise<void> {
    const fillNow = () => filler.fill(kind, number, slot);
    const result = await (kind === 'test' && takeTurns ? takeTurns(number, fillNow) : fillNow());
    if (result.systemFault !== undefined) throw new DataError(result.systemFault);
    unreadable.add(kind === 'training' ? 'train' : 'test', number, result);
    const { count } = rangeOf(setup, kind, number);
    const left = result.holes.length === 0 ? count : closeHoles(slots[slot]!, layout, count, result.holes);
    filled.set(slot, { count: left, decodeMs: result.ms, readBytes: result.readBytes });
  }

  async function take(kind: BatchKind, number: number): Promise<Batch> {
    const ready = prefetchers[kind].ready().map((slot) => filled.get(slot)!.count);
    const readyImages = ready.reduce((sum, count) => sum + count, 0);
    const slot = await prefetchers[kind].take(number);
    return { slot, ...filled.get(slot)!, step: number, epoch: rangeOf(setup, kind, number).epoch, readyImages };
  }
}

export type BatchFeeder = ReturnType<typeof openFeeder>;

/** @throws ConfigError for a window over images that are not in shards. */
function windowOf(dataset: Dataset, { shuffle, shuffleWindow: size }: Shuffling): Window | undefined {
  if (shuffle !== 'window') return undefined;
  assert(size !== undefined, 'a window has a size');
  const places = dataset.kind === 'files' ? dataset.train.places : undefined;
  if (dataset.kind === 'files' && places) return { size, runs: runsOf(dataset.train, places) };
  throw new ConfigError(
    `Cannot read ${dataset.source} with --shuffle window: its images are not packed, expected shards; pack them with \`data prepare --pack\`, or use --shuffle full`,
  );
}

function openAhead({ folder, train }: FileDataset, window: Window, seed: number, margin: number) {
  return openReadAhead({ folder, files: train, places: train.places!, window, seed, margin });
}

function allocateSlots(
  count: number,
  layout: SlotLayout,
  bytesToAlignment: FeedOptions['bytesToAlignment'],
): SharedArrayBuffer[] {
  try {
    return Array.from({ length: count }, () => createSlot(layout, bytesToAlignment));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const bytes = slotBytes(layout);
    throw new ConfigError(
      `Cannot hold ${count} batches of ${layout.batchSize} images in memory: they take ${count * bytes} bytes, expected that much to be free; choose a smaller --batch-size`,
    );
  }
}
