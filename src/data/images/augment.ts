/**
 * From an image of a data set to a net's input: stretched, cut, mirrored, changed in colour, its mean taken off. What is
 * random is a function of the seed, the image's index in the data set and the epoch, and of nothing else.
 */
import { ConfigError } from '../../errors.js';
import { draw, PURPOSE, unit } from '../../random.js';
import type { ColourNoise, Noise } from './colours.js';
import { createCut, type Source } from './window.js';

/** How images become input; `data` of the run's settings. */
export interface ImageOptions {
  /** Height and width in pixels that an image is stretched to before the window is cut. */
  readonly resize: number;
  readonly randomCrop: boolean;
  readonly flip: boolean;
  /** A factor is drawn from 1 - this to 1 + this, and never below 0. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Grey levels taken off, one a channel. */
  readonly mean: readonly number[];
  /** Whether the mean of the training images is taken off, pixel by pixel, in place of `mean`. */
  readonly meanImage: boolean;
  readonly colourNoise: ColourNoise;
  /** Images that follow one another in a batch and share one draw of crop and flip; 1 is each its own. */
  readonly cropGroup: number;
  /** Factor on what is left. */
  readonly scale: number;
  /** What happens when an image file cannot be read. */
  readonly onBadImage: 'fail' | 'skip';
}

/** Whether noise takes the colours of the training images, which have to be computed. */
export function needsOwnColours({ colourNoise }: Pick<ImageOptions, 'colourNoise'>): boolean {
  return colourNoise.strength > 0 && colourNoise.colours === 'data';
}

/** Whether the options need what is computed of all training images. */
export function needsStatistics(options: Pick<ImageOptions, 'meanImage' | 'colourNoise'>): boolean {
  return options.meanImage || needsOwnColours(options);
}

/** What is done to one image. The factors change nothing at 1. */
export interface Changes {
  /** Place of the window's corner in the stretched image, in pixels. */
  top: number;
  left: number;
  flip: boolean;
  brightness: number;
  contrast: number;
  saturation: number;
  /** Added once the mean is off; absent without any. */
  noise?: Noise;
}

/** Luma of red, green and blue (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114] as const;

/** The changes without chance, of test images: the window is in the middle (half a pixel up and left when it cannot be). */
export function plainChanges(resize: number, inputSize: number): Changes {
  const middle = Math.floor((resize - inputSize) / 2);
  return { top: middle, left: middle, flip: false, brightness: 1, contrast: 1, saturation: 1 };
}

/**
 * The changes of a training image in an epoch (from 0), but for the noise; what the options leave out is as in
 * {@link plainChanges}.
 * @param place of the image in the epoch's order, for `cropGroup`.
 */
export function drawChanges(
  options: ImageOptions,
  inputSize: number,
  seed: number,
  index: number,
  epoch: number,
  place = 0,
): Changes {
  const cropIndex = options.cropGroup > 1 ? Math.floor(place / options.cropGroup) : index;
  const changes = plainChanges(options.resize, inputSize);
  if (options.randomCrop) {
    const places = options.resize - inputSize + 1;
    const [down, right] = draw(seed, PURPOSE.crop, cropIndex, 0, epoch);
    changes.top = Math.floor(unit(down) * places);
    changes.left = Math.floor(unit(right) * places);
  }
  if (options.flip) changes.flip = unit(draw(seed, PURPOSE.flip, cropIndex, 0, epoch)[0]) < 0.5;
  if (changesColour(options)) {
    const [brightness, contrast, saturation] = draw(seed, PURPOSE.colour, index, 0, epoch);
    changes.brightness = factor(options.brightness, brightness);
    changes.contrast = factor(options.contrast, contrast);
    changes.saturation = factor(options.saturation, saturation);
  }
  return changes;
}

function changesColour({ brightness, contrast, saturation }: ImageOptions): boolean {
  return brightness > 0 || contrast > 0 || saturation > 0;
}

function factor(amount: number, word: number): number {
  const least = Math.max(1 - amount, 0);
  return least + unit(word) * (1 + amount - least);
}

/**
 * Writes the image that begins at `from` of `pixels` as float32 [inputSize, inputSize, inputChannels] at `at` of `out`.
 */
export type PaintImage = (
  out: Float32Array,
  at: number,
  pixels: Uint8Array,
  from: number,
  changes: Readonly<Changes>,
) => void;

/**
 * Prepares the painting of a net's input; what it returns is for one thread. A grey image is repeated in every channel.
 * @param meanImage [resize, resize, channels of the source], for `options.meanImage`. Its middle is taken off wherever the
 * window is, mirrored or not, as the code of 2012 does.
 * @throws ConfigError when the window is larger than the stretched image, or channels or means do not fit.
 */
export function createPainter(
  source: Source,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
): PaintImage {
  checkFit(source, options, inputSize, inputChannels);
  const cut = createCut(source, options.resize, inputSize);
  const { channels } = source;
  const window = new Float32Array(inputSize * inputSize * channels);
  const { mean, scale } = options;
  const meanWindow = options.meanImage ? middleOf(meanImage!, options.resize, inputSize, channels) : undefined;
  const normalise = normaliser();

  return (out, at, pixels, from, changes) => {
    cut(window, pixels, from, changes.top, changes.left, changes.flip);
    changeColour(window, channels, changes);
    normalise(out, at);
    if (changes.noise) addNoise(out, at, changes.noise);
  };

  function normaliser(): (out: Float32Array, at: number) => void {
    if (meanWindow) return channels === inputChannels ? normaliseByImage(meanWindow) : normaliseGreyByImage(meanWindow);
    return channels === 1 && inputChannels === 3 ? normaliseGreyToThree : normaliseEach;
  }

  function normaliseByImage(taken: Float32Array) {
    return (out: Float32Array, at: number) => {
      for (let i = 0; i < window.length; i++) out[at + i] = (window[i]! - taken[i]!) * scale;
    };
  }

  function normaliseGreyByImage(taken: Float32Array) {
    return (out: Float32Array, at: number) => {
      for (let i = 0, o = at; i < window.length; i++, o += inputChannels) {
        out.fill((window[i]! - taken[i]!) * scale, o, o + inputChannels);
      }
    };
  }

  function addNoise(out: Float32Array, at: number, { added, divisor }: Noise): void {
    const [red, green, blue] = [added[0] * scale, added[1] * scale, added[2] * scale];
    for (let o = at; o < at + inputSize * inputSize * 3; o += 3) {
      out[o] = (out[o]! + red) / divisor;
      out[o + 1] = (out[o + 1]! + green) / divisor;
      out[o + 2] = (out[o + 2]! + blue) / divisor;
    }
  }

  /** The usual case apart: three times as fast as the other. */
  function normaliseGreyToThree(out: Float32Array, at: number): void {
    const [mean0, mean1, mean2] = mean as [number, number, number];
    for (let i = 0, o = at; i < window.length; i++, o += 3) {
      const grey = window[i]!;
      out[o] = (grey - mean0) * scale;
      out[o + 1] = (grey - mean1) * scale;
      out[o + 2] = (grey - mean2) * scale;
    }
  }

  function normaliseEach(out: Float32Array, at: number): void {
    for (let c = 0; c < inputChannels; c++) {
      const taken = mean[c]!;
      for (let i = channels === 1 ? 0 : c, o = at + c; i < window.length; i += channels, o += inputChannels) {
        out[o] = (window[i]! - taken) * scale;
      }
    }
  }
}

/** The middle of an image, where {@link plainChanges} has the window. */
function middleOf(image: Float32Array, resize: number, size: number, channels: number): Float32Array {
  const { top, left } = plainChanges(resize, size);
  const middle = new Float32Array(size * size * channels);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * resize + left) * channels;
    middle.set(image.subarray(from, from + size * channels), y * size * channels);
  }
  return middle;
}

/** Names the setting that does not fit, before any image is touched. */
function checkFit({ channels }: Source, options: ImageOptions, inputSize: number, inputChannels: number): void {
  if (options.resize < inputSize) {
    throw new ConfigError(
      `Cannot cut the net's input out of the images: data.resize is ${options.resize}, expected at least net.inputSize, ${inputSize}; set both`,
    );
  }
  if (options.mean.length !== inputChannels) {
    throw new ConfigError(
      `Cannot take the mean off the images: data.mean has ${options.mean.length} grey levels, expected one for each of the ${inputChannels} channels of net.inputChannels; set both`,
    );
  }
  if (options.colourNoise.strength > 0 && inputChannels !== 3) {
    throw new ConfigError(
      `Cannot change the images' colours: data.colourNoise.strength is ${options.colourNoise.strength} and net.inputChannels ${inputChannels}, expected 3 channels; set one of them`,
    );
  }
  if (channels !== 1 && channels !== inputChannels) {
    throw new ConfigError(
      `Cannot feed images of ${channels} channels to the net: net.inputChannels is ${inputChannels}, expected ${channels}; set it to that`,
    );
  }
}

/**
 * Changes brightness (a factor), then contrast (about the window's mean grey), then saturation (about the pixel's grey),
 * in place. Values stay within 0 and 255 after each.
 * @param window [pixels, channels], grey levels.
 */
export function changeColour(window: Float32Array, channels: number, factors: Readonly<Changes>): void {
  const { brightness, contrast, saturation } = factors;
  if (brightness !== 1) for (let i = 0; i < window.length; i++) window[i] = clamped(window[i]! * brightness);
  if (contrast !== 1) {
    let sum = 0;
    for (let i = 0; i < window.length; i += channels) sum += greyAt(window, i, channels);
    const grey = sum / (window.length / channels);
    for (let i = 0; i < window.length; i++) window[i] = clamped(grey + (window[i]! - grey) * contrast);
  }
  if (saturation === 1 || channels === 1) return; // a grey pixel is its own grey
  for (let i = 0; i < window.length; i += channels) {
    const grey = greyAt(window, i, channels);
    for (let c = i; c < i + channels; c++) window[c] = clamped(grey + (window[c]! - grey) * saturation);
  }
}

function greyAt(window: Float32Array, at: number, channels: number): number {
  if (channels === 1) return window[at]!;
  if (channels === 3) return LUMA[0] * window[at]! + LUMA[1] * window[at + 1]! + LUMA[2] * window[at + 2]!;
  let sum = 0;
  for (let c = 0; c < channels; c++) sum += window[at + c]!;
  return sum / channels;
}

function clamped(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}
