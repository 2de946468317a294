/**
 * Whether the window of an image leaves this thread as grey levels, a byte each, and what the device makes of them then.
 * Levels that are stretched or whose colours are changed are no whole numbers: those become the net's input here.
 */
import { type ImageOptions, meanWindowOf } from './augment.js';
import type { SourceSize } from './crop.js';

/**
 * The net's input is `(level - mean) * scale`, and with noise `(that + added) / divisor`, computed in float32. `tower/
 * normalize.ts` says how far that may be from {@link createTransform}, which computes in double precision and rounds once.
 */
export interface Normalization {
  /** Channels of the net's input; grey is repeated in each. */
  readonly inputChannels: number;
  /** A level for each channel of the input, or for each value of an image: [S, S, channels of the source], float32. */
  readonly mean: readonly number[] | Float32Array;
  /** One factor, or one for each channel of the input. */
  readonly scale: number | readonly number[];
  /** Whether training images have colour noise. */
  readonly noise: boolean;
}

/**
 * What is left to the device; undefined if nothing is.
 * @param source the size of the images before they are stretched.
 * @param meanImage [resize, resize, channels of the source], for `options.meanImage`.
 */
export function normalizationOf(
  source: SourceSize,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
): Normalization | undefined {
  const { resize, brightness, contrast, saturation, mean, scale, colourNoise } = options;
  const isStretched = source.height !== resize || source.width !== resize;
  if (isStretched || brightness > 0 || contrast > 0 || saturation > 0) return undefined;
  const image = options.meanImage ? meanWindowOf(meanImage!, resize, inputSize, source.channels) : undefined;
  return { inputChannels, mean: image ?? mean, scale, noise: colourNoise.strength > 0 };
}
