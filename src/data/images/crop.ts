/** Crops a square window out of a stretched image without computing the pixels outside of it. */

/**
 * Bilinear with half-pixel centres: pixel `i` of `to` lies at (i + 0.5) from / to - 0.5 of the source; edges repeat.
 * @returns for each pixel the two source pixels that it lies between, and the weight of `high`, 0 to 1; `low` has the rest.
 */
export function stretchAxis(from: number, to: number) {
  const axis = { low: new Int32Array(to), high: new Int32Array(to), weight: new Float64Array(to) };
  for (let i = 0; i < to; i++) {
    const place = ((i + 0.5) * from) / to - 0.5;
    const low = Math.floor(place);
    axis.low[i] = Math.max(low, 0);
    axis.high[i] = Math.min(low + 1, from - 1);
    axis.weight[i] = place - low;
  }
  return axis;
}

/** Size of the images that are cropped. */
export type SourceSize = { height: number; width: number; channels: number };

/**
 * Writes the window at (top, left) to `window` [size, size, channels]. The image starts at `offset` of `pixels` and is
 * stretched to `resize` x `resize`. With `flip` the window is mirrored left to right.
 */
type Crop = (window: Window, pixels: Pixels, offset: number, top: number, left: number, flip: boolean) => void;

/** Bytes only for an image that is not stretched. */
type Window = Float32Array | Uint8Array;

type Pixels = Uint8Array | Float64Array;

/** Prepares crops of one size from images of one size; the result is for one thread. */
export function createCrop(source: SourceSize, resize: number, size: number): Crop {
  const { height, width, channels } = source;
  if (height === resize && width === resize) return createCopy(source, size);
  const vertical = stretchAxis(height, resize);
  const horizontal = stretchAxis(width, resize);
  const rowLength = size * channels;
  // The two stretched source rows around an output row. The next output row can mostly reuse one of them.
  let [upper, lower] = [new Float64Array(rowLength), new Float64Array(rowLength)];

  return (window, pixels, offset, top, left, flip) => {
    let [upperRow, lowerRow] = [-1, -1];
    for (let y = 0; y < size; y++) {
      const [low, high] = [vertical.low[top + y]!, vertical.high[top + y]!];
      if (low === lowerRow) {
        [upper, lower] = [lower, upper];
        [upperRow, lowerRow] = [lowerRow, upperRow];
      }
      if (low !== upperRow) {
        stretchRow(upper, pixels, offset + low * width * channels, left, flip);
        upperRow = low;
      }
      if (high !== lowerRow && high !== low) {
        stretchRow(lower, pixels, offset + high * width * channels, left, flip);
        lowerRow = high;
      }
      blendRows(window, y * rowLength, upper, high === low ? upper : lower, vertical.weight[top + y]!);
    }
  };

  function stretchRow(row: Float64Array, pixels: Pixels, offset: number, left: number, flip: boolean): void {
    const { low, high, weight } = horizontal;
    for (let x = 0; x < size; x++) {
      const from = left + (flip ? size - 1 - x : x);
      const [a, b, w] = [offset + low[from]! * channels, offset + high[from]! * channels, weight[from]!];
      for (let c = 0; c < channels; c++) {
        row[x * channels + c] = pixels[a + c]! + (pixels[b + c]! - pixels[a + c]!) * w;
      }
    }
  }

  function blendRows(window: Window, at: number, a: Float64Array, b: Float64Array, weight: number): void {
    for (let i = 0; i < rowLength; i++) window[at + i] = a[i]! + (b[i]! - a[i]!) * weight;
  }
}

/** Crops an image that already has the right size, as decoded files have. */
function createCopy({ width, channels }: SourceSize, size: number): Crop {
  return (window, pixels, offset, top, left, flip) => {
    let to = 0;
    for (let y = top; y < top + size; y++) {
      const row = offset + (y * width + left) * channels;
      if (!flip) {
        window.set(pixels.subarray(row, row + size * channels), to);
        to += size * channels;
        continue;
      }
      for (let from = row + (size - 1) * channels; from >= row; from -= channels, to += channels) {
        window[to] = pixels[from]!;
        if (channels === 1) continue;
        window[to + 1] = pixels[from + 1]!; // an inner loop is slower
        window[to + 2] = pixels[from + 2]!;
      }
    }
  };
}
