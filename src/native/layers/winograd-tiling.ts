/**
 * How Winograd's convolutions cut a map into tiles, and where they save enough. These are numbers alone: other threads
 * than a tower's ask for them, without tfjs.
 */

/** The choices of m for each r. A larger m loses too much precision in float32. */
const OUTPUTS: Readonly<Record<number, readonly number[]>> = { 3: [4, 5], 5: [4] };

/** How a map is cut into tiles, along each side. */
export interface Tiling {
  /** H */
  size: number;
  /** r */
  taps: number;
  /** m */
  outputs: number;
  tiles: number;
}

/** The tiling with the fewest products; undefined if there is none for the size of the kernel. */
export function tilingOf(size: number, taps: number): Tiling | undefined {
  const products = ({ outputs, tiles }: Tiling) => tiles * (outputs + taps - 1);
  const tilings = OUTPUTS[taps]?.map((outputs) => ({ size, taps, outputs, tiles: Math.ceil(size / outputs) }));
  return tilings?.sort((a, b) => products(a) - products(b))[0];
}

export type Shape4D = readonly [number, number, number, number];

/** Multiply-adds below which a direct convolution is always faster. */
const WORTH_WINOGRAD = 2 ** 28;
/** Multiply-adds to be saved for each value that the transforms write and read. */
const WORTH_VALUE = 75;

/** Whether enough is saved on any device; see `isWorthWinograd` of `winograd-conv.ts`. */
export function savesByWinograd(
  [batch, height, width, channels]: Shape4D,
  [taps, tapsAcross, , kernels]: Shape4D,
): boolean {
  const tiling = height === width && taps === tapsAcross ? tilingOf(height, taps) : undefined;
  if (!tiling) return false;
  const [sums, products] = [(height * taps) ** 2, (tiling.tiles * (tiling.outputs + taps - 1)) ** 2];
  if (batch * sums * channels * kernels < WORTH_WINOGRAD) return false;
  return (sums / products - 1) * ((channels * kernels) / (channels + kernels)) >= WORTH_VALUE;
}
