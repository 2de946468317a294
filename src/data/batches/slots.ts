/** Batch slots: pieces of shared memory that hold a batch each. */
import type { ImageOptions } from '../images/augment.js';
import type { SourceSize } from '../images/crop.js';
import { type Normalization, normalizationOf } from '../images/normalization.js';

/** What a slot holds of each image. */
export interface SlotLayout {
  /** The most images of a batch. */
  readonly batchSize: number;
  /** Height and width of the images. */
  readonly inputSize: number;
  /** Of the images in the slot: with a normalization those of their source, else those of the net's input. */
  readonly channels: number;
  /** What the device makes of grey levels, a byte each. Without it the images are the net's input, float32. */
  readonly normalization?: Normalization | undefined;
}

export interface SlotViews {
  /** [batchSize, inputSize, inputSize, channels] */
  images: Float32Array | Uint8Array;
  /** [batchSize] */
  labels: Int32Array;
  /** [batchSize, 4]: what is added to red, green and blue, and the divisor; only with `normalization.noise`. */
  noise?: Float32Array;
}

/** The header's first word is the number of bytes to skip before the values, so that they start at an aligned address. */
const HEADER_BYTES = 64;
const MAX_SKIP_BYTES = 64;
/** Values of an image's noise: see {@link SlotViews}. */
export const NOISE_VALUES = 4;

/** The layout of a slot with the net's input as it is. */
export function floatLayout(batchSize: number, inputSize: number, channels: number): SlotLayout {
  return { batchSize, inputSize, channels };
}

/**
 * The layout of slots for images of one size.
 * @param source their size before they are stretched. @param meanImage [resize, resize, channels of the source], for `options.meanImage`.
 */
export function layoutOf(
  source: SourceSize,
  options: ImageOptions,
  { batchSize, inputSize, inputChannels }: { batchSize: number; inputSize: number; inputChannels: number },
  meanImage?: Float32Array,
): SlotLayout {
  const normalization = normalizationOf(source, options, inputSize, inputChannels, meanImage);
  if (!normalization) return floatLayout(batchSize, inputSize, inputChannels);
  return { batchSize, inputSize, channels: source.channels, normalization };
}

/** Values of an image in the slot. */
export function imageValues({ inputSize, channels }: SlotLayout): number {
  return inputSize * inputSize * channels;
}

/** Bytes of a value of an image in the slot. */
export function valueBytes({ normalization }: SlotLayout): 1 | 4 {
  return normalization ? 1 : 4;
}

/** Bytes that a device receives for an image of a training batch, without its label. */
export function imageBytes(layout: SlotLayout): number {
  return imageValues(layout) * valueBytes(layout) + (layout.normalization?.noise ? 4 * NOISE_VALUES : 0);
}

/** Bytes of all images, up to a multiple of four, at which the labels start. */
function imagesBytes(layout: SlotLayout): number {
  return Math.ceil((layout.batchSize * imageValues(layout) * valueBytes(layout)) / 4) * 4;
}

export function slotBytes(layout: SlotLayout): number {
  const { batchSize, normalization } = layout;
  const perImage = 4 * (1 + (normalization?.noise ? NOISE_VALUES : 0));
  return HEADER_BYTES + MAX_SKIP_BYTES + imagesBytes(layout) + batchSize * perImage;
}

/**
 * Allocates a slot of zeros. @throws RangeError if there is no memory.
 * @param bytesToAlignment distance from the start of some memory to an address that a device can use without a copy: bytes
 * below 64, a multiple of 4.
 */
export function createSlot(
  layout: SlotLayout,
  bytesToAlignment: (memory: SharedArrayBuffer) => number = () => 0,
): SharedArrayBuffer {
  const slot = new SharedArrayBuffer(slotBytes(layout));
  new Int32Array(slot)[0] = bytesToAlignment(slot);
  return slot;
}

/** Views of a slot's contents. A batch with fewer images leaves older values behind its own. */
export function slotViews(slot: SharedArrayBuffer, layout: SlotLayout): SlotViews {
  const { batchSize, normalization } = layout;
  const start = HEADER_BYTES + new Int32Array(slot, 0, 1)[0]!;
  const values = batchSize * imageValues(layout);
  const afterImages = start + imagesBytes(layout);
  const labels = new Int32Array(slot, afterImages, batchSize);
  if (!normalization) return { images: new Float32Array(slot, start, values), labels };
  const images = new Uint8Array(slot, start, values);
  if (!normalization.noise) return { images, labels };
  return { images, labels, noise: new Float32Array(slot, afterImages + 4 * batchSize, NOISE_VALUES * batchSize) };
}
