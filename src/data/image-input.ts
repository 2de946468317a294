/** From an image file that somebody names to a net's input, prepared as the run prepared its own. */
import { createPainter, type ImageOptions, plainChanges } from './augment.js';
import { openDecoder } from './decode.js';
import { readImage } from './files.js';

/** What a run's images are before they are prepared. */
export interface ImageSize {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Writes a file's image as float32 [S, S, C] at `at` of `out`. @returns why there is none, if so. */
export type PaintFile = (out: Float32Array, at: number, file: string) => Promise<string | undefined>;

/**
 * Prepares the painting of files; see {@link openDecoder} for what is decoded and how.
 * @param meanImage of the run's training images, for `options.meanImage`.
 * @param size a file becomes an image of that size, a square, and then what the options say.
 * @throws DataError without sharp's binary; ConfigError for options that do not fit.
 */
export async function openFilePainter(
  size: ImageSize,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
): Promise<PaintFile> {
  const decode = await openDecoder(size.height, size.channels);
  const paint = createPainter(size, options, inputSize, inputChannels, meanImage);
  const changes = plainChanges(options.resize, inputSize);
  return async (out, at, file) => {
    const read = readImage(file);
    const decoded = 'bytes' in read ? await decode(read.bytes) : read;
    if ('reason' in decoded) return decoded.reason;
    paint(out, at, decoded.pixels, 0, changes);
    return undefined;
  };
}
