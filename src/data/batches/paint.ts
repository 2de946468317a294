/** Writes images into a slot: as grey levels, or as the net's input. */
import { type Augmentation, checkOptions, createTransform, type ImageOptions, scalesOf } from '../images/augment.js';
import { createCrop, type SourceSize } from '../images/crop.js';
import { imageValues, NOISE_VALUES, type SlotLayout, type SlotViews } from './slots.js';

/**
 * Writes the image that starts at `from` of `pixels` to place `i` of a slot.
 * @param changes with `normalization` neither brightness nor contrast nor saturation, which leave no whole levels.
 */
export type Paint = (
  views: SlotViews,
  i: number,
  pixels: Uint8Array,
  from: number,
  changes: Readonly<Augmentation>,
) => void;

/**
 * Prepares the painting of images of one size; the result is for one thread.
 * @param meanImage [resize, resize, channels of the source], for `options.meanImage`.
 * @throws ConfigError if the window is larger than the stretched image, or channels or means do not fit.
 */
export function createPaint(
  source: SourceSize,
  options: ImageOptions,
  layout: SlotLayout,
  meanImage?: Float32Array,
): Paint {
  const { inputSize, normalization, channels } = layout;
  const values = imageValues(layout);
  if (!normalization) {
    const transform = createTransform(source, options, inputSize, channels, meanImage);
    return ({ images }, i, ...more) => transform(images as Float32Array, i * values, ...more);
  }
  checkOptions(source, options, inputSize, normalization.inputChannels);
  const crop = createCrop(source, options.resize, inputSize);
  const scales = scalesOf(options, normalization.inputChannels);
  return ({ images, noise: all }, i, pixels, from, { top, left, flip, noise }) => {
    crop(images.subarray(i * values, (i + 1) * values), pixels, from, top, left, flip);
    if (!all) return;
    const [added, divisor] = [noise?.added ?? [0, 0, 0], noise?.divisor ?? 1];
    for (const [c, level] of added.entries()) all[NOISE_VALUES * i + c] = level * scales[c]!;
    all[NOISE_VALUES * i + 3] = divisor;
  };
}
