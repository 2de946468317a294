/** From an image file that somebody names to a net's input, prepared as the run prepared its own. */
import { readFileSync, statSync } from 'node:fs';
import { createPainter, type ImageOptions, plainChanges } from './augment.js';
import { type Decoded, openDecoder } from './decode.js';

/** What a run's images are before they are prepared. */
export interface ImageSize {
  height: number;
  width: number;
  channels: 1 | 3;
}

/** Writes a file's image as float32 [S, S, C] at `at` of `out`. @returns why there is none, if so. */
export type PaintFile = (out: Float32Array, at: number, file: string) => Promise<string | undefined>;

/** No photograph has more, and it must not fill the memory. */
const MAX_FILE_BYTES = 2 ** 28;

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
    const bytes = readSmall(file);
    const decoded: Decoded = typeof bytes === 'string' ? { reason: bytes } : await decode(bytes);
    if ('reason' in decoded) return decoded.reason;
    paint(out, at, decoded.pixels, 0, changes);
    return undefined;
  };
}

/** The file's bytes, or why there are none. */
function readSmall(file: string): Buffer | string {
  try {
    const stat = statSync(file);
    if (stat.isDirectory()) return 'it is a folder';
    if (!stat.isFile()) return 'it is no file';
    if (stat.size > MAX_FILE_BYTES) return `it has ${stat.size} bytes, more than ${MAX_FILE_BYTES}`;
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? 'it is not there' : `it cannot be read (${message})`;
  }
}
