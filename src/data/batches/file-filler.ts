/** Fills slots from image files, decoding them as they come. */
import { createPainter } from '../images/augment.js';
import { type Decode, type Decoded, openDecoder } from '../images/decode.js';
import { type ByteReader, type FileDataset, openReader } from '../images/reader.js';
import { SystemError } from '../images/retry.js';
import { changesOfViews } from '../images/views.js';
import {
  type BadImage,
  changesOf,
  createOrders,
  type Filled,
  type Filler,
  type FillSetup,
  type FillTask,
  placesOf,
  rangeOf,
} from './fill-task.js';
import { slotViews } from './slots.js';

/** An image to paint, or a place for which there is none. */
interface Found {
  index: number;
  pixels?: Uint8Array;
  /** Met on the way to it. */
  bad: BadImage[];
}

/**
 * Prepares the filling. A training image that cannot be read is replaced by the next one of the epoch's order that can,
 * a test image is left out: so a batch is the same whatever threads fill it, and no test image counts twice.
 * @throws ConfigError for options that do not fit.
 */
export function createFileFiller(setup: FillSetup<FileDataset>): Filler {
  const { dataset, batchSize, inputSize, inputChannels, data } = setup;
  const { resize, onBadImage } = data;
  const channels = inputChannels === 1 ? 1 : 3;
  const paint = createPainter(
    { height: resize, width: resize, channels },
    data,
    inputSize,
    inputChannels,
    setup.meanImage,
  );
  const orderOf = createOrders(setup);
  const views = setup.slots.map((slot) => slotViews(slot, batchSize, inputSize, inputChannels));
  const plain = changesOfViews(setup.views ?? 1, resize, inputSize);
  const inputValues = inputSize * inputSize * inputChannels;
  let decoder: Promise<Decode> | undefined;
  const decode = async (bytes: Buffer) => {
    decoder ??= openDecoder(resize, channels);
    return (await decoder)(bytes);
  };
  const { mostOpen } = setup;
  const openSetOf = (files: FileDataset['train']) =>
    openSet(openReader(dataset.folder, files, mostOpen === undefined ? {} : { mostOpen }), files.labels, decode);
  const sets = { training: openSetOf(dataset.train), test: openSetOf(dataset.test) };

  return {
    // A thread's error would not come out as what it is.
    async fill(task) {
      const filled: Filled = { bad: [], holes: [] };
      try {
        await fillPart(task, filled);
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        filled.trouble = error.message;
      }
      return filled;
    },
    close() {
      for (const set of [sets.training, sets.test]) set.close();
    },
  };

  async function fillPart(task: FillTask, filled: Filled): Promise<void> {
    const training = task.kind === 'training';
    const { from, count, epoch } = rangeOf(setup, task.kind, task.number);
    const set = sets[training ? 'training' : 'test'];
    const order = orderOf(task.kind, epoch);
    const { images, labels } = views[task.slot]!;
    const { begin, end } = placesOf(count, task);
    const find = (i: number) => {
      if (!order) return set.find([from + i], 0, 1);
      return set.find(order, from + i, training && onBadImage === 'skip' ? order.length : 1);
    };

    let next = begin < end ? find(begin) : undefined;
    for (let i = begin; i < end; i++) {
      const { index, pixels, bad } = await next!;
      filled.bad.push(...bad);
      if (!pixels) filled.holes.push(i);
      if (!pixels && onBadImage === 'fail') return;
      next = i + 1 < end ? find(i + 1) : undefined; // decodes while this one is painted
      if (!pixels) continue;
      const changes = training ? changesOf(setup, index, epoch, from + i) : plain[task.number % plain.length]!;
      paint(images, i * inputValues, pixels, 0, changes);
      labels[i] = set.labels[index]!;
    }
  }
}

/** Images of one set by their index, with a memory of those that cannot be read. */
function openSet(reader: ByteReader, labels: Uint16Array, decode: Decode) {
  const known = new Map<number, string>();

  async function load(index: number): Promise<Decoded> {
    const reason = known.get(index);
    if (reason !== undefined) return { reason };
    return reader.load(index, decode);
  }

  return {
    labels,
    close: () => reader.close(),
    /** The first of up to `tries` images of the order, from `place` on and round its end, that can be read. */
    async find(order: ArrayLike<number>, place: number, tries: number): Promise<Found> {
      const bad: BadImage[] = [];
      let index = -1;
      for (let i = 0; i < tries; i++) {
        index = order[(place + i) % order.length]!;
        const loaded = await load(index);
        if ('pixels' in loaded) return { index, pixels: loaded.pixels, bad };
        if (!known.has(index) || tries === 1) bad.push({ index, reason: loaded.reason });
        known.set(index, loaded.reason);
      }
      return { index, bad };
    },
  };
}
