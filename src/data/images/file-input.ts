/** From an image file that somebody names to a net's input, prepared as the run prepared its own. */
import { createPainter, type ImageOptions } from './augment.js';
import { openDecoder } from './decode.js';
import { readImage } from './reader.js';
import { patiently } from './retry.js';
import { changesOfViews, type Views } from './views.js';

/** What a run's images are before they are prepared. */
export interface ImageSize {
  height: number;
  width: number;
  channels: 1 | 3;
}

/**
 * Writes a file's views as float32 [views, S, S, C] at `at` of `out`.
 * @returns why there is none, if so.
 * @throws SystemError when the system does not let it be read, for no fault of the file.
 */
export type PaintFile = (out: Float32Array, at: number, file: string) => Promise<string | undefined>;

/**
 * Prepares the painting of files; see {@link openDecoder} for what is decoded and how.
 * @param meanImage of the run's training images, for `options.meanImage`.
 * @param size a file becomes an image of that size, a square, and then what the options say.
 * @param views of each image: its middle, or ten; see `views.ts`.
 * @throws DataError without sharp's binary; ConfigError for options that do not fit.
 */
export async function openFilePainter(
  size: ImageSize,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
  views: Views = 1,
): Promise<PaintFile> {
  const decode = await openDecoder(size.height, size.channels);
  const paint = createPainter(size, options, inputSize, inputChannels, meanImage);
  const changes = changesOfViews(views, options.resize, inputSize);
  const values = inputSize * inputSize * inputChannels;
  return async (out, at, file) => {
    const decoded = await patiently(
      () => file,
      () => {
        const read = readImage(file);
        return 'bytes' in read ? decode(read.bytes) : read;
      },
    );
    if ('reason' in decoded) return decoded.reason;
    for (const [view, each] of changes.entries()) paint(out, at + view * values, decoded.pixels, 0, each);
    return undefined;
  };
}
