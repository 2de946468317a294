/** Which images a batch holds, and how a slot of shared memory holds them. */
import { draw, PURPOSE, shuffled, unit } from '../../random.js';

/** A batch as a range of an order of images. */
export interface Range {
  /** Place of its first image in the order. */
  from: number;
  /** How many images; fewer in the last batch of an epoch. */
  count: number;
  /** From 0. */
  epoch: number;
}

export function batchesOf(images: number, batchSize: number): number {
  return Math.ceil(images / batchSize);
}

/** The training batch of a step, which counts from 1 through all epochs. */
export function trainRange(step: number, images: number, batchSize: number): Range {
  const batches = batchesOf(images, batchSize);
  return { ...testRange((step - 1) % batches, images, batchSize), epoch: Math.floor((step - 1) / batches) };
}

/** A test batch, counted from 0. */
export function testRange(batch: number, images: number, batchSize: number): Range {
  const from = batch * batchSize;
  return { from, count: Math.min(batchSize, images - from), epoch: 0 };
}

/** The training order by epoch; keeps the last one, for steps go through an epoch one after the other. */
export function createOrder(images: number, seed: number): (epoch: number) => Uint32Array {
  let kept: { epoch: number; order: Uint32Array } | undefined;
  return (epoch) => {
    if (kept?.epoch !== epoch) kept = { epoch, order: shuffled(images, seed, epoch) };
    return kept.order;
  };
}

/**
 * Indices of `count` images out of a set of `images`, in its order: of each of so many equal parts one, drawn at random.
 * So classes that stand one after the other are all among them, as far as there is room, and classes that take turns too,
 * where every n-th image might be of the same.
 */
export function spread(images: number, count: number, seed: number): Uint32Array {
  const startOf = (part: number) => Math.floor((part * images) / count);
  return Uint32Array.from({ length: count }, (_, part) => {
    const [begin, end] = [startOf(part), startOf(part + 1)];
    return begin + Math.floor(unit(draw(seed, PURPOSE.sample, part, 0, 0)[0]) * (end - begin));
  });
}

/** A slot begins with a word that says how many more bytes there are before its values: values stay where they are aligned. */
const HEADER_BYTES = 64;

/** Values can begin at any multiple of so many bytes. */
const MOST_ALIGNED = 64;

export function slotBytes(batchSize: number, inputSize: number, inputChannels: number): number {
  return HEADER_BYTES + MOST_ALIGNED + 4 * batchSize * (inputSize * inputSize * inputChannels + 1);
}

/**
 * A slot of zeros.
 * @param bytesToAlignment how many bytes it is from the beginning of some memory to an address that a device takes as it
 * is, below 64 and a multiple of 4; without it the values are anywhere.
 * @throws RangeError when there is no memory for it.
 */
export function createSlot(
  batchSize: number,
  inputSize: number,
  inputChannels: number,
  bytesToAlignment: (memory: SharedArrayBuffer) => number = () => 0,
): SharedArrayBuffer {
  const slot = new SharedArrayBuffer(slotBytes(batchSize, inputSize, inputChannels));
  new Int32Array(slot)[0] = bytesToAlignment(slot);
  return slot;
}

/**
 * A slot's float32 images [batchSize, inputSize, inputSize, inputChannels] and int32 labels [batchSize], not copied. Of
 * a batch with fewer images, what comes after them is left over from earlier ones.
 */
export function slotViews(
  slot: SharedArrayBuffer,
  batchSize: number,
  inputSize: number,
  inputChannels: number,
): { images: Float32Array; labels: Int32Array } {
  const start = HEADER_BYTES + new Int32Array(slot, 0, 1)[0]!;
  const values = batchSize * inputSize * inputSize * inputChannels;
  return {
    images: new Float32Array(slot, start, values),
    labels: new Int32Array(slot, start + 4 * values, batchSize),
  };
}
