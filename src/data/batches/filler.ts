/** Fills batch slots: in a data worker, or on the main thread if there are none. */
import { type Augmentation, drawAugmentation, type ImageOptions, viewsOf } from '../images/augment.js';
import { type Colours, drawNoise } from '../images/colours.js';
import type { SourceSize } from '../images/crop.js';
import { channelsFor, type Decode, openDecoder } from '../images/decode.js';
import { openReader } from '../images/reader.js';
import { SystemError } from '../images/retry.js';
import type { FileDataset, ImageFiles, PixelDataset } from '../sets/dataset.js';
import { startAhead } from './ahead.js';
import { type Decoded, type Found, findDecoded } from './decoded.js';
import { createPaint } from './paint.js';
import { type BatchKind, createOrders, type PlanOptions, rangeOf } from './plan.js';
import { layoutOf, type SlotLayout, slotViews } from './slots.js';

/** All that a data worker needs to fill batches. It is sent once; large arrays are shared. */
export interface FillSetup extends PlanOptions {
  readonly inputSize: number;
  readonly inputChannels: number;
  readonly data: ImageOptions;
  /** For `data.meanImage`, [resize, resize, channels of the images]. */
  readonly meanImage?: Float32Array;
  /** For `data.colourNoise`. */
  readonly colours: Colours;
  readonly slots: readonly SharedArrayBuffer[];
  /** For test batches with several views of each image. */
  readonly decoded?: Decoded | undefined;
  /** Shards of each part that a thread may keep open. */
  readonly maxOpenShards?: number;
  /** Whether images are only read, to measure how fast that is. The slots are not written then. */
  readonly readOnly?: boolean;
  /** See `Decoding.jpegDecoder`. */
  readonly jpegDecoder?: string | undefined;
  /** Images that a thread reads and decodes at the same time. Default 1. */
  readonly ahead?: number;
  /** A thread keeps the decoded images of a part if they all fit into so many bytes. Default 0. */
  readonly keptBytes?: number;
}

/** Part `part` of `parts` of a batch: several workers fill a batch together. */
export interface FillTask {
  kind: BatchKind;
  /** The step from 1 of a training batch; the number from 0 of a test batch; 0 for the sample. */
  number: number;
  slot: number;
  part: number;
  parts: number;
}

export interface FillResult {
  /** Of the thread: from the start of this part to its end. */
  ms: number;
  /** Of image files and shards, whatever the system had in its memory. */
  readBytes: number;
  /** Unreadable images in the order of the batch; with `skip`, only those that this thread had not met before. */
  bad: { index: number; reason: string }[];
  /** Positions of the batch that were not written. */
  holes: number[];
  /** Message of the system fault that ended the work, if any. An Error would lose its class between threads. */
  systemFault?: string;
}

/**
 * Prepares the filling of slots; the result is for one thread. An unreadable training image is replaced by the next
 * readable one of the epoch's order, an unreadable test image is left out. So a batch does not depend on which threads fill
 * it, and no test image counts twice.
 * @throws ConfigError for options that do not fit.
 */
export function createFiller(setup: FillSetup) {
  const { inputSize, data, seed, colours, decoded } = setup;
  const sources = openSources(setup);
  const layout = layoutFor(setup);
  const paint = createPaint(sourceSize(setup), data, layout, setup.meanImage);
  const orderOf = createOrders(setup);
  const slots = setup.slots.map((slot) => slotViews(slot, layout));
  const views = viewsOf(setup.views ?? 1, data.resize, inputSize);

  return {
    async fill(task: FillTask): Promise<FillResult> {
      const result: FillResult = { ms: 0, readBytes: 0, bad: [], holes: [] };
      const started = performance.now();
      try {
        await fillPart(task, result);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        result.systemFault = error.message;
      }
      result.ms = performance.now() - started;
      return result;
    },
    close() {
      sources.train.close();
      sources.test.close();
    },
  };

  async function fillPart({ kind, number, slot, part, parts }: FillTask, result: FillResult): Promise<void> {
    const isTraining = kind === 'training';
    const { from, count, epoch } = rangeOf(setup, kind, number);
    const source = isTraining ? sources.train : sources.test;
    const order = orderOf(kind, epoch);
    const slotted = slots[slot]!;
    const [begin, end] = [Math.floor((count * part) / parts), Math.floor((count * (part + 1)) / parts)];
    const find = (i: number) => {
      const index = from + i;
      const findListed = () => source.find([index], 0, 1);
      if (!order && decoded) return findDecoded(decoded, views.length, number, { place: i, index }, findListed);
      if (!order) return findListed();
      return source.find(order, from + i, isTraining && data.onBadImage === 'skip' ? order.length : 1);
    };
    const nextFound = startAhead(begin, end, setup.ahead ?? 1, find); // decodes while an image is transformed
    for (let i = begin; i < end; i++) {
      const { index, pixels, offset, bad, readBytes = 0 } = await nextFound();
      result.bad.push(...bad);
      result.readBytes += readBytes;
      if (!pixels) result.holes.push(i);
      if (!pixels && data.onBadImage === 'fail') return;
      if (!pixels || setup.readOnly) continue;
      const changes = isTraining ? augmentationOf(index, epoch, from + i) : views[number % views.length]!;
      paint(slotted, i, pixels, offset, changes);
      slotted.labels[i] = source.labels[index]!;
      if (pixels !== decoded?.pixels) source.recycle?.(pixels);
    }
  }

  function augmentationOf(index: number, epoch: number, place: number): Augmentation {
    const drawn = drawAugmentation(data, inputSize, seed, index, epoch, place);
    const noise = drawNoise(colours, data.colourNoise, seed, index, epoch);
    return noise ? { ...drawn, noise } : drawn;
  }
}

const NO_PIXELS = new Uint8Array(0);

/** The images of one part by their index. */
interface Source {
  readonly labels: ArrayLike<number>;
  /** Finds the first readable of up to `tries` images of the order, from `place` on and continuing at its start. */
  find(order: ArrayLike<number>, place: number, tries: number): Found | Promise<Found>;
  /** Takes back the pixels of an image that nobody reads any more. */
  recycle?(pixels: Uint8Array): void;
  close(): void;
}

/** The size of the images before they are stretched: files are decoded to the size that they are cropped from. */
function sourceSize({
  dataset,
  data: { resize },
  inputChannels,
}: Pick<FillSetup, 'dataset' | 'data' | 'inputChannels'>) {
  if (dataset.kind === 'pixels') return dataset;
  return { height: resize, width: resize, channels: channelsFor(inputChannels) } satisfies SourceSize;
}

/** The layout of the slots that a filler fills. */
export function layoutFor(setup: Omit<FillSetup, 'slots'>): SlotLayout {
  return layoutOf(sourceSize(setup), setup.data, setup, setup.meanImage);
}

function openSources({ dataset, data, inputChannels, maxOpenShards, keptBytes = 0, readOnly, jpegDecoder }: FillSetup) {
  const { resize } = data;
  if (dataset.kind === 'pixels') return { train: pixelSource(dataset, 'train'), test: pixelSource(dataset, 'test') };
  const channels = channelsFor(inputChannels);
  let opening: Promise<Decode> | undefined;
  const decode: Decode = async (bytes) => {
    if (readOnly) return { pixels: NO_PIXELS };
    opening ??= openDecoder(resize, channels, { ...data, jpegDecoder }, dataset.stored);
    return (await opening)(bytes);
  };
  const open = (files: ImageFiles) => {
    const isKept = !readOnly && files.count * resize ** 2 * channels <= keptBytes;
    const isReused = dataset.stored?.kind === 'raw' && !isKept;
    return fileSource(dataset, files, decode, { isKept, isReused, maxOpen: maxOpenShards });
  };
  return { train: open(dataset.train), test: open(dataset.test) };
}

function pixelSource({ height, width, channels, ...parts }: PixelDataset, part: 'train' | 'test'): Source {
  const { images, labels, count, distinct = count } = parts[part];
  const values = height * width * channels;
  return {
    labels,
    find: (order, place) => {
      const index = order[place]!;
      return { index, pixels: images, offset: (index % distinct) * values, bad: [] };
    },
    close() {},
  };
}

/** Remembers which images are unreadable, and with `isKept` the pixels of the others. */
function fileSource(
  { folder }: FileDataset,
  files: ImageFiles,
  decode: Decode,
  { isKept, isReused, maxOpen }: { isKept: boolean; isReused: boolean; maxOpen: number | undefined },
): Source {
  const reader = openReader(folder, files, { maxOpen });
  const reasons = new Map<number, string>();
  const kept = new Map<number, Uint8Array>();
  return {
    labels: files.labels,
    // Pixels that are stored raw are the bytes that were read.
    ...(isReused && { recycle: (pixels: Uint8Array) => reader.recycle(pixels as Buffer) }),
    close: reader.close,
    async find(order, place, tries) {
      const bad: Found['bad'] = [];
      let index = -1;
      let readBytes = 0;
      const decodeRead: Decode = (bytes) => {
        readBytes += bytes.length;
        return decode(bytes);
      };
      for (let i = 0; i < tries; i++) {
        index = order[(place + i) % order.length]!;
        const before = kept.get(index);
        if (before) return { index, pixels: before, offset: 0, bad };
        const known = reasons.get(index);
        const decoded = known === undefined ? await reader.read(index, decodeRead) : { reason: known };
        if ('pixels' in decoded) {
          if (isKept) kept.set(index, decoded.pixels);
          return { index, pixels: decoded.pixels, offset: 0, bad, readBytes };
        }
        if (known === undefined || tries === 1) bad.push({ index, reason: decoded.reason });
        reasons.set(index, decoded.reason);
      }
      return { index, offset: 0, bad, readBytes };
    },
  };
}
