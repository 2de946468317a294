/** Sums over images, exact for any number of them: so neither their order nor who added them matters. */
import { type Colours, principalComponents } from '../images/colours.js';

/** Sums of whole numbers. */
export interface Totals {
  images: number;
  /** [height, width, channels] Of the grey levels. Exact up to 2⁵³, which is 35 million million images. */
  values: Float64Array;
  /**
   * [channels, channels] Of products of two channels of a pixel. ImageNet at 256 pixels brings them to 60 % of 2⁵³, so
   * that larger sets would leave the whole numbers of float64.
   */
  products: bigint[];
}

/** Sums over images [height, width, channels]. */
export function createSums(height: number, width: number, channels: 1 | 3) {
  const sums = new Float64Array(height * width * channels);
  const products: bigint[] = Array(channels * channels).fill(0n);
  let images = 0;
  return {
    count: () => images,
    values: sums,
    add,
    merge,
    /** The sums themselves, not copies. */
    totals: (): Totals => ({ images, values: sums, products }),
    mean,
    colours,
    levels,
  };

  function merge(other: Totals): void {
    images += other.images;
    for (let i = 0; i < sums.length; i++) sums[i]! += other.values[i]!;
    for (let i = 0; i < products.length; i++) products[i]! += other.products[i]!;
  }

  function add(pixels: Uint8Array): void {
    images++;
    for (let i = 0; i < pixels.length; i++) sums[i]! += pixels[i]!;
    if (channels === 1) {
      let squares = 0;
      for (let i = 0; i < pixels.length; i++) squares += pixels[i]! * pixels[i]!;
      products[0]! += BigInt(squares);
      return;
    }
    let [rr, rg, rb, gg, gb, bb] = [0, 0, 0, 0, 0, 0];
    for (let i = 0; i < pixels.length; i += 3) {
      const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
      rr += r * r;
      rg += r * g;
      rb += r * b;
      gg += g * g;
      gb += g * b;
      bb += b * b;
    }
    for (const [i, value] of [rr, rg, rb, rg, gg, gb, rb, gb, bb].entries()) products[i]! += BigInt(value);
  }

  function mean(): Float32Array {
    const mean = new Float32Array(new SharedArrayBuffer(4 * sums.length));
    for (let i = 0; i < sums.length; i++) mean[i] = sums[i]! / images;
    return mean;
  }

  /** The mean of each channel, and the standard deviation from these of all values. */
  function levels(): { mean: number[]; deviation: number } {
    const pixels = images * height * width;
    const means = meansOf(pixels);
    const variances = means.map((mean, c) => Number(products[c * channels + c]) / pixels - mean * mean);
    const variance = variances.reduce((sum, each) => sum + each, 0) / channels;
    return { mean: means, deviation: Math.sqrt(Math.max(variance, 0)) };
  }

  function meansOf(pixels: number): number[] {
    return Array.from({ length: channels }, (_, c) => {
      let sum = 0;
      for (let i = c; i < sums.length; i += channels) sum += sums[i]!;
      return sum / pixels;
    });
  }

  function colours(): Colours {
    const pixels = images * height * width;
    const means = meansOf(pixels);
    const at = (i: number) => Math.min(i, channels - 1); // grey stands for all three
    const covariance = [0, 1, 2].map((i) =>
      [0, 1, 2].map((j) => Number(products[at(i) * channels + at(j)]) / pixels - means[at(i)]! * means[at(j)]!),
    );
    return principalComponents(covariance);
  }
}
