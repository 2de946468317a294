/**
 * Winograd's convolutions, F(m × m, r × r): maps are cut into tiles, and each tile's results are made of fewer products
 * than the convolution's sum has (Lavin and Gray 2015, arXiv:1509.09308). The transforms to and from these products are XLA's, the products TensorFlow's.
 * float32, NHWC; differentiable by tfjs's tape.
 */
import tf = require('@tensorflow/tfjs');

import { currentBinding, withOwnBinding } from '../binding/backend.js';
import { AttrType } from '../c/signatures.js';
import { type Compiled, compile } from '../graph/compile.js';
import { differentiable, NHWC, run, T } from './differentiable.js';
import { transpose, winogradMatrices } from './winograd-transforms.js';

/** Results of a tile along a side, by the kernel's size: more lose too much in float32. */
const OUTPUTS: Readonly<Record<number, readonly number[]>> = { 3: [4, 5], 5: [4] };

/** How a map is cut, along each side. */
export interface Tiling {
  /** Values of the map. */
  size: number;
  /** The kernel's. */
  taps: number;
  /** Results of a tile. */
  outputs: number;
  tiles: number;
}

/** Transforms for maps of one size and kernels of one size. P: products of a tile along a side; Z: tiles of the batch. */
interface Transforms {
  /** [B, H, W, C] to [P, P, Z, C] */
  input: Compiled;
  /** [R, R, C, K] to [P, P, C, K] */
  kernel: Compiled;
  /** [P, P, Z, K], and a bias [K] when there is one, to [B, H, W, K] */
  output: Compiled;
  /** The adjoints, from results' gradients to those of what they were made of. */
  inputGradient: Compiled;
  kernelGradient: Compiled;
  outputGradient: Compiled;
}

/** The cut with the fewest products. Nothing for a kernel that there is none for. */
export function tilingOf(size: number, taps: number): Tiling | undefined {
  const cuts = (OUTPUTS[taps] ?? []).map((outputs) => ({ size, taps, outputs, tiles: Math.ceil(size / outputs) }));
  const products = ({ outputs, tiles }: Tiling) => tiles * (outputs + taps - 1);
  return cuts.reduce<Tiling | undefined>(
    (best, cut) => (best && products(best) <= products(cut) ? best : cut),
    undefined,
  );
}

/** Such convolutions, and what was compiled for them. */
export class WinogradConvolutions {
  readonly #transforms = new Map<string, Transforms>();

  /**
   * A convolution with stride 1 and as many zeros around the map as keep its size, with bias when one is given.
   * @param x [B, H, W, C], H = W; @param kernel [R, R, C, K]; @param bias [K].
   * @returns [B, H, W, K]; the caller's (or `tf.tidy`'s).
   * @throws RangeError for a kernel of another size than {@link tilingOf} knows.
   */
  conv(x: tf.Tensor4D, kernel: tf.Tensor4D, bias?: tf.Tensor1D): tf.Tensor4D {
    const size = x.shape[1];
    const transforms = this.#transformsOf(size, kernel.shape[0]);
    let kept: tf.Tensor[] = [];
    const forward = () => {
      kept = [transforms.input(x)[0]!, transforms.kernel(kernel)[0]!];
      const products = product(kept[0]!, kept[1]!, false, false);
      return transforms.output(products, ...(bias ? [bias] : []))[0]!;
    };
    return differentiable(
      [x, kernel, ...(bias ? [bias] : [])],
      forward,
      () => kept,
      (dy, [inputs, kernels]) => {
        const slopes = transforms.outputGradient(dy)[0]!;
        return [
          () => transforms.inputGradient(product(slopes, kernels!, false, true))[0]!,
          () => transforms.kernelGradient(product(inputs!, slopes, true, false))[0]!,
          () => run('BiasAddGrad', [dy], [T, NHWC]),
        ];
      },
    ) as tf.Tensor4D;
  }

  /** Frees what was compiled. */
  dispose(): void {
    for (const transforms of this.#transforms.values()) {
      for (const each of Object.values(transforms) as Compiled[]) each.dispose();
    }
    this.#transforms.clear();
  }

  #transformsOf(size: number, taps: number): Transforms {
    const key = `${size} ${taps}`;
    const tiling = tilingOf(size, taps);
    if (!tiling) throw new RangeError(`there is no tiling for kernels of ${taps}`);
    const transforms = this.#transforms.get(key) ?? compileTransforms(tiling);
    this.#transforms.set(key, transforms);
    return transforms;
  }
}

/** Whether this TensorFlow has XLA for this device, and not within a function that is XLA's as a whole. */
export function hasXla(): boolean {
  return currentBinding().can('XLA', () => {
    withOwnBinding(() => {
      const square = compile((x) => [tf.square(x)], { mode: 'xla' });
      try {
        tf.tidy(() => square(tf.scalar(1))[0]!.dataSync());
      } finally {
        square.dispose();
      }
    });
  });
}

function compileTransforms(tiling: Tiling): Transforms {
  const { size, taps, outputs, tiles } = tiling;
  const { input, kernel, output } = winogradMatrices(outputs, taps);
  const adjoint = { input: transpose(input), kernel: transpose(kernel), output: transpose(output) };
  const points = outputs + taps - 1;
  const before = (taps - 1) / 2;
  /** Of the map and the zeros around it, which the tiles cover. */
  const covered = tiles * outputs + taps - 1;
  const around: [number, number] = [before, covered - size - before];
  const beyond: [number, number] = [0, tiles * outputs - size];
  const xla = (fn: (...inputs: tf.Tensor[]) => tf.Tensor) => compile((...inputs) => [fn(...inputs)], { mode: 'xla' });
  const windows = (x: tf.Tensor, axis: number) => windowsOf(x, axis, { tiles, outputs, points });
  const fold = (x: tf.Tensor, axis: number) => foldOf(x, axis, { outputs, points });
  /** [B, tiles, points, tiles, points, C] to [points, points, Z, C] */
  const byPoint = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [2, 4, 0, 1, 3, 5]), [points, points, -1, x.shape[5]!]);
  /** The map out of what the tiles cover. */
  const cut = (x: tf.Tensor, first: number) => tf.slice(x, [0, first, first, 0], [-1, size, size, -1]);
  const ofTiles = (x: tf.Tensor) => tf.reshape(x, [points, points, -1, tiles, tiles, x.shape[3]!]);

  return {
    input: xla((x) => {
      const padded = tf.pad(x, [[0, 0], around, around, [0, 0]]);
      const columns = times(input, windows(padded, 2), 3);
      return byPoint(times(input, windows(columns, 1), 2));
    }),
    inputGradient: xla((slopes) => {
      const tiled = tf.transpose(ofTiles(slopes), [2, 3, 0, 4, 1, 5]);
      const columns = fold(times(adjoint.input, tiled, 4), 3);
      return cut(fold(times(adjoint.input, columns, 2), 1), before);
    }),
    kernel: xla((taps) => times(kernel, times(kernel, taps, 0), 1)),
    kernelGradient: xla((slopes) => times(adjoint.kernel, times(adjoint.kernel, slopes, 0), 1)),
    output: xla((products, bias) => {
      const tiled = times(output, times(output, ofTiles(products), 1), 0);
      const map = tf.reshape(tf.transpose(tiled, [2, 3, 0, 4, 1, 5]), [
        ...[-1, tiles * outputs, tiles * outputs],
        products!.shape[3]!,
      ]);
      const sums = cut(map, 0);
      return bias ? tf.add(sums, bias) : sums;
    }),
    outputGradient: xla((dy) => {
      const padded = tf.pad(dy, [[0, 0], beyond, beyond, [0, 0]]);
      const tiled = tf.reshape(padded, [-1, tiles, outputs, tiles, outputs, dy.shape[3]!]);
      return byPoint(times(adjoint.output, times(adjoint.output, tiled, 2), 4));
    }),
  };
}

/** matrix · x along an axis: a sum of few, which XLA makes in one pass. */
function times(matrix: readonly (readonly number[])[], x: tf.Tensor, axis: number): tf.Tensor {
  const factors: number[] = Array(x.rank + 1).fill(1);
  factors[axis] = matrix.length;
  factors[axis + 1] = matrix[0]!.length;
  return tf.sum(tf.mul(tf.tensor(matrix.flat(), factors), tf.expandDims(x, axis)), axis + 1);
}

/** An axis as windows that overlap: [..., tiles, points, ...], a window every `outputs` values. */
function windowsOf(
  x: tf.Tensor,
  axis: number,
  { tiles, outputs, points }: { tiles: number; outputs: number; points: number },
): tf.Tensor {
  const strides = x.shape.map((_, i) => (i === axis ? outputs : 1));
  const each = Array.from({ length: points }, (_, first) => {
    const begin = x.shape.map((_, i) => (i === axis ? first : 0));
    const end = x.shape.map((size, i) => (i === axis ? first + (tiles - 1) * outputs + 1 : size));
    return tf.stridedSlice(x, begin, end, strides);
  });
  return tf.stack(each, axis + 1);
}

/** The adjoint of {@link windowsOf}: [..., tiles, points, ...] to an axis, windows that overlap added. */
function foldOf(x: tf.Tensor, axis: number, { outputs, points }: { outputs: number; points: number }): tf.Tensor {
  const tiles = x.shape[axis]!;
  const blocks = Math.ceil(points / outputs);
  const parts = Array.from({ length: blocks }, (_, block) => {
    const begin = x.shape.map((_, i) => (i === axis + 1 ? block * outputs : 0));
    const length = Math.min(outputs, points - block * outputs);
    const part = tf.slice(
      x,
      begin,
      x.shape.map((size, i) => (i === axis + 1 ? length : size)),
    );
    const around = x.shape.map((_, i): [number, number] => {
      if (i === axis) return [block, blocks - 1 - block];
      return i === axis + 1 ? [0, outputs - length] : [0, 0];
    });
    return tf.pad(part, around);
  });
  const size = (tiles + blocks - 1) * outputs;
  return tf.reshape(tf.addN(parts), [...x.shape.slice(0, axis), size, ...x.shape.slice(axis + 2)]);
}

/** The products of all points at once: matrices by their last two axes. */
function product(a: tf.Tensor, b: tf.Tensor, transposeA: boolean, transposeB: boolean): tf.Tensor {
  return run(
    'BatchMatMulV2',
    [a, b],
    [
      T,
      { name: 'adj_x', type: AttrType.BOOL, value: transposeA },
      { name: 'adj_y', type: AttrType.BOOL, value: transposeB },
    ],
  );
}

type Shape4D = readonly [number, number, number, number];

/** Multiply-adds of a convolution by its sum below which it is over before the transforms pay. */
const WORTH_WINOGRAD = 2 ** 28;
/** Multiply-adds that have to be saved for each value that the transforms write and read. */
const WORTH_VALUE = 75;

/**
 * Whether a convolution with stride 1 is faster by Winograd's algorithm: on a CPU, for kernels that there is a tiling for, where enough
 * is saved (docs/performance.md has the measurements). On a GPU cuDNN chooses by itself.
 * @param shape [B, H, W, C] of its input; @param kernel [R, R, C, K].
 */
export function isWorthWinograd(x: Shape4D, kernel: Shape4D): boolean {
  return savesByWinograd(x, kernel) && currentBinding().target.type === 'CPU' && hasXla();
}

/** Whether its size alone speaks for it; see {@link isWorthWinograd}. */
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
