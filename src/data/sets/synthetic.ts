/**
 * Images made of the seed, to measure speed without data. Each class has stripes of its own direction and colours, so a net
 * can learn them, but its accuracy says nothing about real images.
 */
import { ConfigError } from '../../errors.js';
import { draw, PURPOSE } from '../../random.js';
import type { Images, PixelDataset } from './dataset.js';

const SYNTHETIC = /^synthetic(?::(\d{1,9}))?$/;

/** Training images, if the source does not name a number. */
const COUNT = 10_000;
const TEST_COUNT = 256;

/** Of the images of a part that are held in memory; the others are the same again. */
const POOL_BYTES = 2 ** 24;
const MAX_POOL = 512;

export function isSynthetic(source: string): boolean {
  return SYNTHETIC.test(source);
}

export interface SyntheticOptions {
  readonly classes: number;
  readonly channels: 1 | 3;
  /** Height and width in pixels. */
  readonly size: number;
  readonly seed: number;
}

/**
 * Makes a data set.
 * @param source `synthetic`, or `synthetic:COUNT` for that many training images.
 * @throws ConfigError for a number of 0.
 */
export function makeSynthetic(source: string, options: SyntheticOptions): PixelDataset {
  const count = Number(SYNTHETIC.exec(source)?.[1] ?? COUNT);
  if (count === 0) {
    throw new ConfigError(
      `Cannot make the data ${source}: it names 0 images, expected 1 or more; leave out the number`,
    );
  }
  const { classes, channels, size } = options;
  return {
    ...{ kind: 'pixels', name: 'synthetic', source: 'the seed, for speed only', height: size, width: size, channels },
    train: makeImages(count, 0, options),
    test: makeImages(Math.min(count, TEST_COUNT), 1, options),
    classNames: Array.from({ length: classes }, (_, i) => `${i}`),
  };
}

/** @param part 0 for training images, 1 for test images, whose noise differs. */
function makeImages(count: number, part: number, { classes, channels, size, seed }: SyntheticOptions): Images {
  const bytes = size * size * channels;
  const distinct = Math.min(count, MAX_POOL, Math.max(1, Math.floor(POOL_BYTES / bytes)));
  const images = new Uint8Array(new SharedArrayBuffer(distinct * bytes));
  for (let i = 0; i < distinct; i++) paint(images.subarray(i * bytes, (i + 1) * bytes), i % classes, i, part);
  const labels = new Uint16Array(new SharedArrayBuffer(2 * count));
  for (let i = 0; i < count; i++) labels[i] = (i % distinct) % classes;
  return { count, images, labels, ...(distinct < count && { distinct }) };

  function paint(pixels: Uint8Array, label: number, index: number, part: number): void {
    const [across, down, light, dark] = draw(seed, PURPOSE.synthetic, label, 0, 0);
    const [stepX, stepY] = [(across % 15) - 7, (down % 15) - 7];
    const noise = draw(seed, PURPOSE.synthetic, index, 1 + part, 0)[0];
    let state = noise | 1;
    for (let y = 0, at = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const colour = ((x * stepX + y * stepY) >> 5) & 1 ? light : dark;
        // Xorshift (Marsaglia 2003): far cheaper than a draw for each pixel.
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        for (let c = 0; c < channels; c++)
          pixels[at++] = 32 + ((colour >>> (8 * c)) & 127) + ((state >>> (6 * c)) & 63);
      }
    }
  }
}
