/**
 * Turns an image of a data set into the net's input: stretch, crop, flip, change colours, subtract the mean. Random
 * numbers are a function of the seed, the image's index in the data set and the epoch only.
 */
import { ConfigError } from '../../errors.js';
import { draw, PURPOSE, unit } from '../../random.js';
import { type ColourNoise, type Noise, usesOwnColours } from './colours.js';
import { createCrop, type SourceSize } from './crop.js';
import type { Decoding } from './decode.js';

/** How images become input: `data` of the run's settings. `config/schema.ts` explains each. */
export interface ImageOptions extends Decoding {
  readonly resize: number;
  readonly randomCrop: boolean;
  readonly flip: boolean;
  /** The factor is drawn from 1 - this to 1 + this, and never below 0. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  readonly mean: readonly number[];
  readonly meanImage: boolean;
  readonly colourNoise: ColourNoise;
  readonly cropGroup: number;
  /** One factor, or one for each channel. */
  readonly scale: number | readonly number[];
  readonly onBadImage: 'fail' | 'skip';
}

/** Whether the options need statistics of all training images. */
export function needsStatistics(options: Pick<ImageOptions, 'meanImage' | 'colourNoise'>): boolean {
  return options.meanImage || usesOwnColours(options.colourNoise);
}

/** What is done to one image. A factor of 1 changes nothing. */
export interface Augmentation {
  /** The window's corner in the stretched image, in pixels. */
  top: number;
  left: number;
  flip: boolean;
  brightness: number;
  contrast: number;
  saturation: number;
  /** Added after the mean is subtracted. */
  noise?: Noise;
}

/** Without random changes: the window is in the middle, or half a pixel up and left of it. */
export function centerCrop(resize: number, inputSize: number): Augmentation {
  const middle = Math.floor((resize - inputSize) / 2);
  return { top: middle, left: middle, flip: false, brightness: 1, contrast: 1, saturation: 1 };
}

export type Views = 1 | 10;

/**
 * The views of a test image. Ten views are the windows at the corners top left, top right, bottom left and bottom right
 * and in the middle, then the same five mirrored (paper §4.1).
 * @throws ConfigError for ten views of an image that is no larger than the window.
 */
export function viewsOf(views: Views, resize: number, inputSize: number): Augmentation[] {
  const middle = centerCrop(resize, inputSize);
  if (views === 1) return [middle];
  const far = resize - inputSize;
  if (far === 0) {
    throw new ConfigError(
      `Cannot take ten views of the images: data.resize is ${resize}, the same as net.inputSize, so all windows are the same, expected more; evaluate without --ten-view, or use a run with a larger data.resize`,
    );
  }
  const corners = [0, far].flatMap((top) => [0, far].map((left) => ({ ...middle, top, left })));
  return [false, true].flatMap((flip) => [...corners, middle].map((each) => ({ ...each, flip })));
}

/** The random changes of a training image, except for the noise. `place` is that in the epoch's order, for `cropGroup`. */
export function drawAugmentation(
  options: ImageOptions,
  inputSize: number,
  seed: number,
  index: number,
  epoch: number,
  place = 0,
): Augmentation {
  const cropIndex = options.cropGroup > 1 ? Math.floor(place / options.cropGroup) : index;
  const drawn = centerCrop(options.resize, inputSize);
  if (options.randomCrop) {
    const places = options.resize - inputSize + 1;
    const [down, right] = draw(seed, PURPOSE.crop, cropIndex, 0, epoch);
    drawn.top = Math.floor(unit(down) * places);
    drawn.left = Math.floor(unit(right) * places);
  }
  if (options.flip) drawn.flip = unit(draw(seed, PURPOSE.flip, cropIndex, 0, epoch)[0]) < 0.5;
  if (options.brightness > 0 || options.contrast > 0 || options.saturation > 0) {
    const [brightness, contrast, saturation] = draw(seed, PURPOSE.colour, index, 0, epoch);
    drawn.brightness = factor(options.brightness, brightness);
    drawn.contrast = factor(options.contrast, contrast);
    drawn.saturation = factor(options.saturation, saturation);
  }
  return drawn;
}

function factor(amount: number, word: number): number {
  const least = Math.max(1 - amount, 0);
  return least + unit(word) * (1 + amount - least);
}

/**
 * Prepares the transform of images of one size; the result is for one thread. It writes the image at `from` of `pixels` as
 * float32 [inputSize, inputSize, inputChannels] to `at` of `out`; grey is repeated in every channel.
 * @param meanImage [resize, resize, channels of the source], for `options.meanImage`. Its middle is subtracted wherever
 * the window is, mirrored or not, as in the code of 2012.
 * @throws ConfigError if the window is larger than the stretched image, or channels or means do not fit.
 */
export function createTransform(
  source: SourceSize,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
) {
  checkOptions(source, options, inputSize, inputChannels);
  const crop = createCrop(source, options.resize, inputSize);
  const { channels } = source;
  const window = new Float32Array(inputSize * inputSize * channels);
  const { mean } = options;
  const scales = scalesOf(options, inputChannels);
  const meanWindow = options.meanImage ? meanWindowOf(meanImage!, options.resize, inputSize, channels) : undefined;
  const normalize = meanWindow
    ? subtractImage(meanWindow)
    : channels === 1 && inputChannels === 3
      ? subtractFromGrey
      : subtractMean;

  return (out: Float32Array, at: number, pixels: Uint8Array, from: number, changes: Readonly<Augmentation>): void => {
    crop(window, pixels, from, changes.top, changes.left, changes.flip);
    changeColour(window, channels, changes);
    normalize(out, at);
    if (changes.noise) addNoise(out, at, changes.noise);
  };

  function subtractImage(image: Float32Array) {
    const { scale: one } = options;
    if (channels === inputChannels && typeof one === 'number') {
      return (out: Float32Array, at: number) => {
        for (let i = 0; i < window.length; i++) out[at + i] = (window[i]! - image[i]!) * one;
      };
    }
    const step = channels === 1 ? 1 : inputChannels;
    return (out: Float32Array, at: number) => {
      for (let c = 0; c < inputChannels; c++) {
        const scale = scales[c]!;
        for (let i = step === 1 ? 0 : c, o = at + c; i < window.length; i += step, o += inputChannels) {
          out[o] = (window[i]! - image[i]!) * scale;
        }
      }
    };
  }

  /** The usual case of {@link subtractMean}, three times as fast. */
  function subtractFromGrey(out: Float32Array, at: number): void {
    const [mean0, mean1, mean2] = mean as [number, number, number];
    const [scale0, scale1, scale2] = scales as [number, number, number];
    for (let i = 0, o = at; i < window.length; i++, o += 3) {
      const grey = window[i]!;
      out[o] = (grey - mean0) * scale0;
      out[o + 1] = (grey - mean1) * scale1;
      out[o + 2] = (grey - mean2) * scale2;
    }
  }

  function subtractMean(out: Float32Array, at: number): void {
    for (let c = 0; c < inputChannels; c++) {
      const [level, scale] = [mean[c]!, scales[c]!];
      for (let i = channels === 1 ? 0 : c, o = at + c; i < window.length; i += channels, o += inputChannels) {
        out[o] = (window[i]! - level) * scale;
      }
    }
  }

  function addNoise(out: Float32Array, at: number, { added, divisor }: Noise): void {
    const [red, green, blue] = [added[0] * scales[0]!, added[1] * scales[1]!, added[2] * scales[2]!];
    for (let o = at; o < at + inputSize * inputSize * 3; o += 3) {
      out[o] = (out[o]! + red) / divisor;
      out[o + 1] = (out[o + 1]! + green) / divisor;
      out[o + 2] = (out[o + 2]! + blue) / divisor;
    }
  }
}

/** The factor on each channel. */
export function scalesOf({ scale }: Pick<ImageOptions, 'scale'>, inputChannels: number): readonly number[] {
  return typeof scale === 'number' ? Array<number>(inputChannels).fill(scale) : scale;
}

/** The window of {@link centerCrop} of an image [resize, resize, channels]. */
export function meanWindowOf(image: Float32Array, resize: number, size: number, channels: number): Float32Array {
  const { top, left } = centerCrop(resize, size);
  const middle = new Float32Array(size * size * channels);
  for (let y = 0; y < size; y++) {
    const from = ((top + y) * resize + left) * channels;
    middle.set(image.subarray(from, from + size * channels), y * size * channels);
  }
  return middle;
}

/** @throws ConfigError if the window is larger than the stretched image, or channels or means do not fit. */
export function checkOptions(
  { channels }: SourceSize,
  { resize, mean, scale, colourNoise }: ImageOptions,
  inputSize: number,
  inputChannels: number,
): void {
  const problem =
    (resize < inputSize &&
      `Cannot crop the net's input out of the images: data.resize is ${resize}, expected at least net.inputSize, ${inputSize}; set both`) ||
    (mean.length !== inputChannels &&
      `Cannot subtract the mean from the images: data.mean has ${mean.length} grey levels, expected one for each of the ${inputChannels} channels of net.inputChannels; set both`) ||
    (typeof scale !== 'number' &&
      scale.length !== inputChannels &&
      `Cannot scale the images: data.scale has ${scale.length} factors, expected one for each of the ${inputChannels} channels of net.inputChannels; set both`) ||
    (colourNoise.strength > 0 &&
      inputChannels !== 3 &&
      `Cannot change the images' colours: data.colourNoise.strength is ${colourNoise.strength} and net.inputChannels ${inputChannels}, expected 3 channels; set one of them`) ||
    (channels !== 1 &&
      channels !== inputChannels &&
      `Cannot feed images of ${channels} channels to the net: net.inputChannels is ${inputChannels}, expected ${channels}; set it to that`);
  if (problem) throw new ConfigError(problem);
}

/**
 * Changes brightness (a factor), then contrast (about the window's mean grey), then saturation (about the pixel's grey) of
 * grey levels [pixels, channels] in place. Clamps to 0 to 255 after each.
 */
export function changeColour(window: Float32Array, channels: number, factors: Readonly<Augmentation>): void {
  const { brightness, contrast, saturation } = factors;
  if (brightness !== 1) for (let i = 0; i < window.length; i++) window[i] = clamp(window[i]! * brightness);
  if (contrast !== 1) {
    let sum = 0;
    for (let i = 0; i < window.length; i += channels) sum += greyAt(window, i, channels);
    const grey = sum / (window.length / channels);
    for (let i = 0; i < window.length; i++) window[i] = clamp(grey + (window[i]! - grey) * contrast);
  }
  if (saturation === 1 || channels === 1) return;
  for (let i = 0; i < window.length; i += channels) {
    const grey = greyAt(window, i, channels);
    for (let c = i; c < i + channels; c++) window[c] = clamp(grey + (window[c]! - grey) * saturation);
  }
}

/** Luma of red, green and blue (ITU-R BT.601); images have one or three channels. */
function greyAt(window: Float32Array, at: number, channels: number): number {
  if (channels === 1) return window[at]!;
  return 0.299 * window[at]! + 0.587 * window[at + 1]! + 0.114 * window[at + 2]!;
}

function clamp(value: number): number {
  return Math.min(Math.max(value, 0), 255);
}
