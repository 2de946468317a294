/** The kernels of a net's first layer: how much of them is colour, and a picture after the paper's Figure 3. */
import { explainLoadFailure } from '../addon.js';
import { withTensors } from '../checkpoint/weights-files.js';
import { CheckpointError, ConfigError, SetupError } from '../errors.js';
import { type Net, parametersOf } from '../model/net.js';
import { makeFolderOf, writeNoFollow } from '../safe-write.js';

export type FirstLayer = ReturnType<typeof firstLayerOf>;

/**
 * Reads the first layer's kernels from a run's weights.
 * @returns each tower's kernels [size, size, channels], row-major.
 * @throws ConfigError if that layer is not a convolution; CheckpointError if the weights are of another net.
 */
export function firstLayerOf(net: Net, files: readonly string[]) {
  const [layer] = net.layers;
  if (layer?.kind !== 'conv') {
    throw new ConfigError(
      `Cannot show the kernels of the net ${net.options.table}: its first layer is ${layer?.kind}, expected a convolution; choose another run`,
    );
  }
  const { name, size } = layer;
  const own = parametersOf(net).filter((each) => each.layer === name && each.role === 'kernel');
  return withTensors(files, (source) => {
    const towers = own.map(({ name: parameter, shape, tower }) => {
      const values = source.read(parameter, shape);
      const outputs = shape.at(-1)!;
      const kernels: Float32Array[] = Array.from({ length: outputs }, (_, o) =>
        values.filter((_, i) => i % outputs === o),
      );
      return { tower, kernels };
    });
    return { layer: name, size, channels: layer.input[2], towers };
  });
}

/** How much of a tower's kernels is colour. The energy of values is the sum of their squares. */
export function towerEnergy({ kernels }: Pick<FirstLayer['towers'][number], 'kernels'>, channels: number) {
  const energies = kernels.map((kernel) => energyOf(kernel, channels));
  const grey = energies.reduce((sum, each) => sum + each.grey, 0);
  const colour = energies.reduce((sum, each) => sum + each.colour, 0);
  return {
    ...{ kernels: kernels.length, grey, colour },
    /** 0 if both energies are 0. */
    colourShare: grey + colour === 0 ? 0 : colour / (grey + colour),
    /** How many kernels are more colour than grey. */
    mostlyColour: energies.filter((each) => each.colour > each.grey).length,
  };
}

/**
 * A kernel's energy in two orthogonal parts: of its grey, the mean of a pixel's channels in each channel, and of its
 * colour, the rest. Their sum is the whole energy.
 */
export function energyOf(kernel: Float32Array, channels: number): { grey: number; colour: number } {
  let [grey, colour] = [0, 0];
  for (let at = 0; at < kernel.length; at += channels) {
    const pixel = kernel.subarray(at, at + channels);
    const mean = pixel.reduce((sum, value) => sum + value, 0) / channels;
    grey += channels * mean ** 2;
    colour += pixel.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  }
  return { grey, colour };
}

/** Kernels in a row; 48 kernels take three rows, as in the paper. */
const COLUMNS = 16;
/** The size of a drawn kernel, about; a weight is a square of pixels. */
const TILE_PIXELS = 88;
const GAP_PIXELS = 8;
/** Between the towers. */
const WIDE_GAP_PIXELS = 32;
const BACKGROUND = 255;
/** The grey of a weight of 0. */
const ZERO = 127.5;

/**
 * Draws tower 0's kernels above tower 1's, as pixels [height, width, 3] from 0 to 255. In each kernel 0 is grey, and the
 * largest absolute weight is white or black, or a full colour. So a kernel without colour is drawn without colour.
 * @throws ConfigError if the image has neither 1 nor 3 channels.
 */
export function kernelPicture({ size, channels, towers }: FirstLayer) {
  if (channels !== 1 && channels !== 3) {
    throw new ConfigError(
      `Cannot draw kernels of ${channels} channels: expected 1, or 3 for red, green and blue; choose another run`,
    );
  }
  const zoom = Math.max(1, Math.round(TILE_PIXELS / size));
  const step = size * zoom + GAP_PIXELS;
  const columns = Math.min(COLUMNS, Math.max(...towers.map(({ kernels }) => kernels.length)));
  let height = GAP_PIXELS;
  const tops = towers.map(({ kernels }, tower) => {
    if (tower > 0) height += WIDE_GAP_PIXELS - GAP_PIXELS;
    const top = height;
    height += Math.ceil(kernels.length / columns) * step;
    return top;
  });
  const width = columns * step + GAP_PIXELS;
  const pixels = new Uint8Array(height * width * 3).fill(BACKGROUND);
  for (const [tower, { kernels }] of towers.entries()) {
    for (const [i, kernel] of kernels.entries()) {
      const top = tops[tower]! + Math.floor(i / columns) * step;
      const left = GAP_PIXELS + (i % columns) * step;
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
  }
  return { height, width, pixels };
}

/** Returns a picture as PNG. @throws SetupError if sharp does not load. */
export async function pngOf({ height, width, pixels }: ReturnType<typeof kernelPicture>): Promise<Buffer> {
  const { default: sharp } = await import('sharp').catch((error: unknown) => {
    throw new SetupError(`Cannot make a picture: ${explainLoadFailure('sharp', error)}`, { cause: error });
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

/** Writes a picture as PNG. @throws CheckpointError if the write fails; SetupError if sharp does not load. */
export async function writePng(picture: ReturnType<typeof kernelPicture>, file: string): Promise<void> {
  const png = await pngOf(picture);
  try {
    makeFolderOf(file);
    writeNoFollow(file, png);
  } catch (error) {
    throw new CheckpointError(
      `Cannot write the picture ${file}: ${(error as Error).message}; choose another file with --out`,
      file,
    );
  }
}
