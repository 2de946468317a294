/** The first layer's kernels as a picture, after the paper's Figure 3: tower 0's above tower 1's. */
import { explainLoadFailure } from '../addon.js';
import { CheckpointError, ConfigError, SetupError } from '../errors.js';
import { writeNoFollow } from '../safe-write.js';
import type { FirstLayer } from './kernels.js';

/** Pixels, [height, width, 3], 0 to 255. */
export interface Picture {
  height: number;
  width: number;
  pixels: Uint8Array;
}

/** Kernels beside one another; 48 take three rows, as in the paper. */
const COLUMNS = 16;
/** A kernel is drawn about this large, its weights as squares. */
const TILE_PIXELS = 88;
const GAP_PIXELS = 8;
/** Between the towers. */
const WIDE_GAP_PIXELS = 32;
const BACKGROUND = 255;
/** The grey of a weight of 0. */
const ZERO = 127.5;

/**
 * Draws the kernels. Each has its own scale: its largest weight, of either sign, is white or black (or a full colour), and
 * 0 the grey between. So a kernel without colour is drawn without colour.
 * @throws ConfigError when the image is neither grey nor red, green and blue.
 */
export function kernelPicture({ size, channels, towers }: FirstLayer): Picture {
  if (channels !== 1 && channels !== 3) {
    throw new ConfigError(
      `Cannot draw kernels of ${channels} channels: expected 1, or 3 for red, green and blue; choose another run`,
    );
  }
  const zoom = Math.max(1, Math.round(TILE_PIXELS / size));
  const step = size * zoom + GAP_PIXELS;
  const most = Math.max(...towers.map(({ kernels }) => kernels.length));
  const columns = Math.min(COLUMNS, most);
  const tops: number[] = [];
  let height = GAP_PIXELS;
  for (const { kernels } of towers) {
    tops.push(height);
    height += Math.ceil(kernels.length / columns) * step - GAP_PIXELS + WIDE_GAP_PIXELS;
  }
  height += GAP_PIXELS - WIDE_GAP_PIXELS;
  const width = columns * step + GAP_PIXELS;
  const pixels = new Uint8Array(height * width * 3).fill(BACKGROUND);
  for (const [tower, { kernels }] of towers.entries()) {
    for (const [i, kernel] of kernels.entries()) {
      const top = tops[tower]! + Math.floor(i / columns) * step;
      const left = GAP_PIXELS + (i % columns) * step;
      drawKernel(pixels, width, top, left, kernel, { size, channels, zoom });
    }
  }
  return { height, width, pixels };
}

function drawKernel(
  pixels: Uint8Array,
  width: number,
  top: number,
  left: number,
  kernel: Float32Array,
  { size, channels, zoom }: { size: number; channels: number; zoom: number },
): void {
  const largest = kernel.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  for (let y = 0; y < size * zoom; y++) {
    for (let x = 0; x < size * zoom; x++) {
      const from = (Math.floor(y / zoom) * size + Math.floor(x / zoom)) * channels;
      const to = ((top + y) * width + left + x) * 3;
      for (let c = 0; c < 3; c++) {
        const value = kernel[from + (channels === 1 ? 0 : c)]!;
        pixels[to + c] = Math.round(ZERO + (ZERO * value) / largest);
      }
    }
  }
}

/** Writes a picture as PNG. @throws CheckpointError when the disk does not take it. */
export async function writePng({ height, width, pixels }: Picture, file: string): Promise<void> {
  const { default: sharp } = await import('sharp').catch((error: unknown) => {
    throw new SetupError(`Cannot write the picture ${file}: ${explainLoadFailure('sharp', error)}`, { cause: error });
  });
  const bytes = await sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
  try {
    writeNoFollow(file, bytes);
  } catch (error) {
    throw new CheckpointError(
      `Cannot write the picture ${file}: ${(error as Error).message}; choose another file with --out`,
      file,
    );
  }
}
