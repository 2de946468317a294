/** Turns an image file that the user names into the net's input, as for the run's own images. */
import { createPaint } from '../batches/paint.js';
import type { SlotLayout, SlotViews } from '../batches/slots.js';
import { type ImageOptions, type Views, viewsOf } from './augment.js';
import type { SourceSize } from './crop.js';
import { openDecoder } from './decode.js';
import { readImageFile } from './reader.js';

/** Size of a run's images before they are transformed. */
export type ImageSize = SourceSize & { channels: 1 | 3 };

/**
 * Prepares the transform of files, which writes the views of one to the places from `i` on of a slot. It returns the
 * reason if a file cannot be read or decoded, and throws a SystemError for a system fault that lasts.
 * @param size a square; files are decoded to it by {@link openDecoder}, then `options` apply.
 * @param meanImage of the run's training images, for `options.meanImage`.
 * @throws DataError if sharp does not load; ConfigError for options that do not fit.
 */
export async function openFileTransform(
  size: ImageSize,
  options: ImageOptions,
  layout: SlotLayout,
  meanImage?: Float32Array,
  views: Views = 1,
) {
  const decode = await openDecoder(size.height, size.channels, options);
  const paint = createPaint(size, options, layout, meanImage);
  const augmentations = viewsOf(views, options.resize, layout.inputSize);
  return async (slot: SlotViews, i: number, file: string): Promise<string | undefined> => {
    const decoded = await readImageFile(file, decode);
    if ('reason' in decoded) return decoded.reason;
    for (const [view, each] of augmentations.entries()) paint(slot, i + view, decoded.pixels, 0, each);
    return undefined;
  };
}
