/**
 * Resizes as Pillow does with `BILINEAR`, to the same bits: torchvision prepares the images of its weights with it. Each
 * pixel is a mean of the source pixels under a triangle, which is as wide as the reduction, so that fine patterns do not
 * alias. After Pillow's `src/libImaging/Resample.c`: weights in fixed point, rows first, grey levels rounded in between.
 */

/** Bits behind the point of the weights. */
const PRECISION = 22;
const HALF = 2 ** (PRECISION - 1);

/** The window of one side: `size` pixels from `at` on, of the source stretched from `from` to `to` pixels. */
type Side = { from: number; to: number; at: number; size: number };

/** For each pixel of a window the first source pixel, and the weights of `taps` pixels from there on. */
interface Weights {
  first: Int32Array;
  weights: Int32Array;
  taps: number;
}

/**
 * Scales the shorter side to `resize` pixels and cuts out the middle, as torchvision's `Resize` and `CenterCrop` do: the
 * longer side is rounded down, and half a pixel to the even one.
 * @param pixels [height, width, channels]
 * @returns [resize, resize, channels]
 */
export function resizeBilinear(
  pixels: Uint8Array,
  { width, height, channels }: { width: number; height: number; channels: number },
  resize: number,
): Uint8Array {
  const short = Math.min(width, height);
  const side = (from: number): Side => {
    const to = Math.trunc((resize * from) / short);
    return { from, to, at: halfToEven((to - resize) / 2), size: resize };
  };
  const columns = weightsOf(side(width));
  const rows = weightsOf(side(height));
  const above = rows.first[0]!;
  const end = Math.min(rows.first.at(-1)! + rows.taps, height);
  const between = new Uint8Array((end - above) * resize * channels);
  for (let y = above; y < end; y++) {
    mixRow(between, (y - above) * resize * channels, pixels, y * width * channels, channels, columns);
  }
  const out = new Uint8Array(resize * resize * channels);
  mixColumns(out, between, resize * channels, above, rows);
  return out;
}

function halfToEven(value: number): number {
  const rounded = Math.round(value); // a half goes up
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

function weightsOf({ from, to, at, size }: Side): Weights {
  const scale = from / to;
  const support = Math.max(scale, 1);
  const slope = 1 / support;
  const taps = Math.min(Math.ceil(support) * 2 + 1, from);
  const first = new Int32Array(size);
  const weights = new Int32Array(size * taps);
  for (let i = 0; i < size; i++) {
    const centre = (at + i + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - support + 0.5), 0);
    const high = Math.min(Math.trunc(centre + support + 0.5), from);
    const heights = Array.from({ length: high - low }, (_, j) => {
      return Math.max(1 - Math.abs((low + j - centre + 0.5) * slope), 0);
    });
    const sum = heights.reduce((total, each) => total + each, 0);
    // The window of weights stays inside of the source; those in front of `low` are 0.
    first[i] = Math.min(low, from - taps);
    for (const [j, each] of heights.entries()) {
      weights[i * taps + low - first[i]! + j] = Math.trunc(0.5 + (each / sum) * 2 ** PRECISION);
    }
  }
  return { first, weights, taps };
}

/** One source row at `from` → `first.length` pixels at `to`. */
function mixRow(
  out: Uint8Array,
  to: number,
  pixels: Uint8Array,
  from: number,
  channels: number,
  { first, weights, taps }: Weights,
): void {
  for (let x = 0; x < first.length; x++) {
    const start = from + first[x]! * channels;
    for (let c = 0; c < channels; c++) {
      let sum = HALF;
      for (let j = 0; j < taps; j++) sum += pixels[start + j * channels + c]! * weights[x * taps + j]!;
      out[to + x * channels + c] = Math.min(sum >> PRECISION, 255);
    }
  }
}

/** Rows of `length` values, the first of which is row `above` of the source → `first.length` rows. */
function mixColumns(
  out: Uint8Array,
  rows: Uint8Array,
  length: number,
  above: number,
  { first, weights, taps }: Weights,
): void {
  for (let y = 0; y < first.length; y++) {
    const start = (first[y]! - above) * length;
    for (let x = 0; x < length; x++) {
      let sum = HALF;
      for (let j = 0; j < taps; j++) sum += rows[start + j * length + x]! * weights[y * taps + j]!;
      out[y * length + x] = Math.min(sum >> PRECISION, 255);
    }
  }
}
