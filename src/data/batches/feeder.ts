/** Feeds batches to the towers through slots of shared memory, the next ones filled while one is in use. */
import assert from 'node:assert/strict';
import { ConfigError, DataError } from '../../errors.js';
import { type ImageOptions, needsOwnColours, needsStatistics } from '../images/augment.js';
import { IMAGENET_COLOURS } from '../images/colours.js';
import { MOST_OPEN } from '../images/reader.js';
import type { Views } from '../images/views.js';
import type { Dataset } from '../sets/idx-dataset.js';
import type { Statistics } from '../statistics/statistics.js';
import { closeHoles, createLedger, type Unreadable } from './bad-images.js';
import { batchImages } from './batch-images.js';
import { type FillSetup, type FillTask, rangeOf } from './fill-task.js';
import { batchName, openInline, openPool } from './pool.js';
import { openLane } from './prefetch.js';
import { batchesOf, createSlot, slotBytes } from './slots.js';

export type { Unreadable };

export interface FeedOptions {
  dataset: Dataset;
  /** Images a batch. */
  batchSize: number;
  /** Height and width of the net's input, in pixels. */
  inputSize: number;
  inputChannels: number;
  seed: number;
  /** `workers` threads fill the slots; with 0 the calling thread does, within `train` and `test`. */
  data: ImageOptions & { readonly workers: number };
  /** How often each test image comes: once, its middle, or in the ten views of `views.ts`. */
  views?: Views;
  /** Of the training images, when the options need them; see `needsStatistics`. */
  statistics?: Statistics | undefined;
  /** Slots for training batches, 3 without it: one in use, the others filled ahead. Test batches have two more, their sample one. */
  slots?: number;
  /** Where values begin in the slots' memory; see `createSlot`. */
  bytesToAlignment?: (memory: SharedArrayBuffer) => number;
  /** Told of each image that is skipped because it cannot be read, once. */
  onUnreadable?: (image: Unreadable) => void;
}

/** A batch in a slot, lent until it is released. */
export interface Batch {
  /** Index into {@link BatchFeeder.slots}. */
  slot: number;
  /**
   * Images in it, and what follows them is no part of it: fewer than the batch size at the end of an epoch, and in a test
   * batch of which images cannot be read; 0 if none can.
   */
  count: number;
  /** The training step, or the number of the test batch. */
  step: number;
  /** Epochs gone by before it, so from 0; 0 for test batches. */
  epoch: number;
}

export interface BatchFeeder {
  /**
   * Shared memory of each slot, to be handed to the towers: float32 images [batchSize, S, S, C] and int32 labels
   * [batchSize]; see `slotViews`. The towers read it where it is, until the batch is released.
   */
  readonly slots: readonly SharedArrayBuffer[];
  readonly batchesPerEpoch: number;
  readonly testBatches: number;
  /** The images that were skipped until now because they cannot be read. */
  readonly unreadable: readonly Unreadable[];
  /**
   * The batch of a step, which counts from 1; a function of the step and the seed, in whatever order steps are asked for.
   * Fills the next ones ahead. Waits while all training slots are lent.
   * @throws DataError that names the batch, when it could not be filled or the feeder was closed; or the image that
   * cannot be read, with `data.onBadImage` `fail`.
   */
  train(step: number): Promise<Batch>;
  /**
   * A test batch, counted from 0: in the order of the data set, unchanged but for size and mean. Waits and throws alike.
   * @param view which of the views, from 0; there is but one without `views`.
   */
  test(batch: number, view?: number): Promise<Batch>;
  /**
   * A batch of test images from all over their set (`spread` of `batches.ts`), always the same. It is filled when it is
   * first asked for and stays, so it is not to be released. Throws alike.
   */
  sample(): Promise<Batch>;
  /** The images of a training batch, made out anew each time: see `batch-images.ts`. */
  imagesOf(step: number): readonly string[];
  /** Gives the slot back, to be filled again: the towers are done with it. */
  release(batch: Batch): void;
  /** Ends all threads; what is still waited for rejects. */
  close(): Promise<void>;
}

/** Each thread reads training and test images. */
const SETS = 2;

/** One in use, one filled ahead. */
const TEST_SLOTS = 2;

/**
 * Opens a feeder and starts its threads; the caller closes it.
 * @throws ConfigError when the images do not fit the net's input, or there is no memory for the slots.
 */
export function openFeeder(options: FeedOptions): BatchFeeder {
  const { dataset, batchSize, inputSize, inputChannels, seed, data, views = 1, slots: trainSlots = 3 } = options;
  const slots = allocateSlots(trainSlots + TEST_SLOTS + 1, options);
  // Settings alone: what is shared with a thread has to be plain data.
  const { statistics } = options;
  assert(statistics || !needsStatistics(data), 'the options need statistics');
  const setup: FillSetup = {
    ...{ dataset, batchSize, inputSize, inputChannels, seed, data, views, slots },
    mostOpen: Math.max(1, Math.floor(MOST_OPEN / (SETS * Math.max(1, data.workers)))),
    ...(data.meanImage && { meanImage: statistics!.mean }),
    colours: needsOwnColours(data) ? statistics!.colours : IMAGENET_COLOURS,
  };
  const inline = openInline(setup); // says what does not fit, before a thread is started
  const filling = data.workers > 0 ? openPool(setup, data.workers) : inline;
  const batchesPerEpoch = batchesOf(dataset.train.count, batchSize);
  const testBatches = batchesOf(dataset.test.count, batchSize);

  const ledger = createLedger(dataset, data.onBadImage, options.onUnreadable);
  const counts = new Map<number, number>();

  const openLaneOf = (kind: FillTask['kind'], from: number, to: number, last: number) =>
    openLane({
      slots: [...slots.keys()].slice(from, to),
      last,
      ahead: data.workers > 0,
      fill: (number, slot) => fill(kind, number, slot),
    });
  const lanes = {
    training: openLaneOf('training', 0, trainSlots, Number.POSITIVE_INFINITY),
    test: openLaneOf('test', trainSlots, trainSlots + TEST_SLOTS, testBatches * views - 1),
    sample: openLaneOf('sample', trainSlots + TEST_SLOTS, slots.length, 0),
  };
  let sample: Promise<Batch> | undefined;

  return {
    slots,
    batchesPerEpoch,
    testBatches,
    unreadable: ledger.images,
    async train(step) {
      assert(Number.isSafeInteger(step) && step >= 1, `step ${step} is no step`);
      return take('training', step);
    },
    async test(batch, view = 0) {
      assert(Number.isSafeInteger(batch) && batch >= 0 && batch < testBatches, `there is no test batch ${batch}`);
      assert(Number.isSafeInteger(view) && view >= 0 && view < views, `there is no view ${view}`);
      return take('test', batch * views + view);
    },
    sample() {
      sample ??= take('sample', 0);
      return sample;
    },
    imagesOf: (step) => batchImages(setup, step, ledger.isUnreadable),
    release({ slot, step }) {
      lanes[slot < trainSlots ? 'training' : 'test'].release(slot, step);
    },
    async close() {
      for (const kind of ['training', 'test', 'sample'] as const)
        lanes[kind].close((number) => closedError(kind, number));
      await filling.close();
    },
  };

  async function fill(kind: FillTask['kind'], number: number, slot: number): Promise<void> {
    const { bad, holes, trouble } = await filling.fill(kind, number, slot);
    if (trouble !== undefined) throw new DataError(trouble);
    ledger.add(kind === 'training' ? kind : 'test', number, bad, holes);
    const { count } = rangeOf(setup, kind, number);
    counts.set(slot, holes.length === 0 ? count : closeHoles(setup, slot, count, holes));
  }

  async function take(kind: FillTask['kind'], number: number): Promise<Batch> {
    const slot = await lanes[kind].take(number);
    const { epoch } = rangeOf(setup, kind, number);
    return { slot, count: counts.get(slot)!, step: number, epoch };
  }
}

function allocateSlots(
  count: number,
  { batchSize, inputSize, inputChannels, bytesToAlignment }: FeedOptions,
): SharedArrayBuffer[] {
  try {
    return Array.from({ length: count }, () => createSlot(batchSize, inputSize, inputChannels, bytesToAlignment));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const bytes = slotBytes(batchSize, inputSize, inputChannels);
    throw new ConfigError(
      `Cannot hold ${count} batches of ${batchSize} images in memory: they take ${count * bytes} bytes, expected that much to be free; choose a smaller --batch-size`,
    );
  }
}

function closedError(kind: FillTask['kind'], number: number): DataError {
  return new DataError(
    `Cannot fill ${batchName(kind, number)}: the data threads were closed, expected them to run; ask for it before the run ends`,
  );
}
