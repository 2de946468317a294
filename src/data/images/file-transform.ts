/** Turns an image file that the user names into the net's input, as for the run's own images. */
import { createTransform, type ImageOptions, type Views, viewsOf } from './augment.js';
import type { SourceSize } from './crop.js';
import { openDecoder } from './decode.js';
import { readImageFile } from './reader.js';

/** Size of a run's images before they are transformed. */
export type ImageSize = SourceSize & { channels: 1 | 3 };

/**
 * Writes the views of a file as float32 [views, S, S, C] to `at` of `out`.
 * @returns the reason if the file cannot be read or decoded.
 * @throws SystemError for a system fault that lasts.
 */
export type FileTransform = (out: Float32Array, at: number, file: string) => Promise<string | undefined>;

/**
 * Prepares the transform of files. They are decoded to `size`, a square, then `options` apply; see {@link openDecoder}.
 * @param meanImage of the run's training images, for `options.meanImage`.
 * @throws DataError if sharp does not load; ConfigError for options that do not fit.
 */
export async function openFileTransform(
  size: ImageSize,
  options: ImageOptions,
  inputSize: number,
  inputChannels: number,
  meanImage?: Float32Array,
  views: Views = 1,
): Promise<FileTransform> {
  const decode = await openDecoder(size.height, size.channels);
  const transform = createTransform(size, options, inputSize, inputChannels, meanImage);
  const augmentations = viewsOf(views, options.resize, inputSize);
  const values = inputSize * inputSize * inputChannels;
  return async (out, at, file) => {
    const decoded = await readImageFile(file, decode);
    if ('reason' in decoded) return decoded.reason;
    for (const [view, each] of augmentations.entries()) transform(out, at + view * values, decoded.pixels, 0, each);
    return undefined;
  };
}
