/**
 * Convolutions by Winograd's algorithm F(m × m, r × r) (Lavin and Gray, CVPR 2016, arXiv:1509.09308), for kernels of r × r
 * with stride 1. The output is cut into tiles of m × m. Each needs an input tile of (m + r - 1)², which overlap:
 *
 *     Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A      d input tile, g kernel, Y output tile; matrices of `winograd-transforms.ts`
 *
 * The products ⊙, summed over the channels, are one matrix product [tiles, C] · [C, K] for each of the (m + r - 1)² points.
 * They take (m + r - 1)² multiplications for each tile and pair of channels, a direct convolution m² r². XLA compiles
 * the transforms; TensorFlow computes the matrix products. Gradients go through the transposed (adjoint) transforms.
 *
 * Legend: B batch; H, W size of the map, equal; C input channels; K kernels; R = r; P = m + r - 1; Z tiles of the whole batch.
 * float32, NHWC; differentiable by tfjs's tape.
 */
import tf = require('@tensorflow/tfjs');

import { currentBinding } from '../binding/backend.js';
import { compile } from '../graph/compile.js';
import type { Save } from '../graph/tape.js';
import { canRun, differentiable, matMul, NHWC, run, T } from './layer-ops.js';
import { type Shape4D, savesByWinograd, type Tiling, tilingOf } from './winograd-tiling.js';
import { transpose, winogradMatrices } from './winograd-transforms.js';

type Transforms = ReturnType<typeof compileTransforms>;

export class WinogradConvolutions {
  readonly #transforms = new Map<string, Transforms>();

  /**
   * A convolution with stride 1 and `same` padding.
   * @param x [B, H, W, C]; @param kernel [R, R, C, K]; @param bias [K].
   * @returns [B, H, W, K]; the caller's (or `tf.tidy`'s).
   * @throws RangeError if {@link tilingOf} has none for the size of the kernel.
   */
  conv(x: tf.Tensor4D, kernel: tf.Tensor4D, bias?: tf.Tensor1D): tf.Tensor4D {
    const transforms = this.#transformsOf(x.shape[1], kernel.shape[0]);
    const biases = bias ? [bias] : [];
    const forward = (save: Save) => {
      const inputs = transforms.input(x)[0]!; // [P, P, Z, C]
      const kernels = transforms.kernel(kernel)[0]!; // [P, P, C, K]
      const y = transforms.output(matMul(inputs, kernels, false, false), ...biases)[0]!; // [B, H, W, K]
      save([inputs, kernels]);
      return y;
    };
    return differentiable([x, kernel, ...biases], forward, (dy, [inputs, kernels]) => {
      const slopes = transforms.outputGradient(dy)[0]!; // [P, P, Z, K]
      return [
        () => transforms.inputGradient(matMul(slopes, kernels!, false, true))[0]!,
        () => transforms.kernelGradient(matMul(inputs!, slopes, true, false))[0]!,
        () => run('BiasAddGrad', [dy], [T, NHWC]),
      ];
    }) as tf.Tensor4D;
  }

  dispose(): void {
    for (const transforms of this.#transforms.values()) {
      for (const each of Object.values(transforms)) each.dispose();
    }
    this.#transforms.clear();
  }

  #transformsOf(size: number, taps: number): Transforms {
    const tiling = tilingOf(size, taps);
    if (!tiling) throw new RangeError(`there is no tiling for kernels of ${taps}`);
    const key = `${size} ${taps}`;
    const transforms = this.#transforms.get(key) ?? compileTransforms(tiling);
    this.#transforms.set(key, transforms);
    return transforms;
  }
}

/** Whether TensorFlow has XLA for the thread's device. False while a function for XLA is traced. */
export function hasXla(): boolean {
  return canRun('XLA', () => {
    const square = compile((x) => [tf.square(x)], { mode: 'xla' });
    const caller = compile((x) => square(x)); // a server does not run it otherwise
    try {
      return caller(tf.scalar(1))[0]!;
    } finally {
      caller.dispose();
      square.dispose();
    }
  });
}

function compileTransforms(tiling: Tiling) {
  const { size, taps, outputs, tiles } = tiling;
  const { input, kernel, output } = winogradMatrices(outputs, taps);
  const adjoint = { input: transpose(input), kernel: transpose(kernel), output: transpose(output) };
  const points = outputs + taps - 1;
  const before = (taps - 1) / 2;
  const covered = tiles * outputs + taps - 1; // the map and the zeros around it, as far as input tiles reach
  const around: [number, number] = [before, covered - size - before];
  const beyond: [number, number] = [0, tiles * outputs - size];
  const xla = (fn: (...inputs: tf.Tensor[]) => tf.Tensor) => compile((...inputs) => [fn(...inputs)], { mode: 'xla' });
  /** [B, tiles, P, tiles, P, C] → [P, P, Z, C] */
  const byPoint = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [2, 4, 0, 1, 3, 5]), [points, points, -1, x.shape[5]!]);
  /** [P, P, Z, C] → [P, P, B, tiles, tiles, C] */
  const byTile = (x: tf.Tensor) => tf.reshape(x, [points, points, -1, tiles, tiles, x.shape[3]!]);
  const crop = (x: tf.Tensor, first: number) => tf.slice(x, [0, first, first, 0], [-1, size, size, -1]);

  return {
    /** Bᵀ d B of every tile: [B, H, W, C] → [P, P, Z, C] */
    input: xla((x) => {
      const padded = tf.pad(x, [[0, 0], around, around, [0, 0]]);
      const columns = times(input, windowsOf(padded, 2, tiling), 3);
      return byPoint(times(input, windowsOf(columns, 1, tiling), 2));
    }),
    inputGradient: xla((slopes) => {
      const tiled = tf.transpose(byTile(slopes), [2, 3, 0, 4, 1, 5]);
      const columns = foldOf(times(adjoint.input, tiled, 4), 3, tiling);
      return crop(foldOf(times(adjoint.input, columns, 2), 1, tiling), before);
    }),
    /** G g Gᵀ: [R, R, C, K] → [P, P, C, K] */
    kernel: xla((taps) => times(kernel, times(kernel, taps, 0), 1)),
    kernelGradient: xla((slopes) => times(adjoint.kernel, times(adjoint.kernel, slopes, 0), 1)),
    /** Aᵀ (…) A of every tile, plus the bias [K] if there is one: [P, P, Z, K] → [B, H, W, K] */
    output: xla((products, bias) => {
      const tiled = times(output, times(output, byTile(products), 1), 0);
      const map = tf.reshape(tf.transpose(tiled, [2, 3, 0, 4, 1, 5]), [
        ...[-1, tiles * outputs, tiles * outputs],
        products!.shape[3]!,
      ]);
      const sums = crop(map, 0);
      return bias ? tf.add(sums, bias) : sums;
    }),
    outputGradient: xla((dy) => {
      const padded = tf.pad(dy, [[0, 0], beyond, beyond, [0, 0]]);
      const tiled = tf.reshape(padded, [-1, tiles, outputs, tiles, outputs, dy.shape[3]!]);
      return byPoint(times(adjoint.output, times(adjoint.output, tiled, 2), 4));
    }),
  };
}

/** matrix · x along an axis, as a sum that XLA computes in one pass. */
function times(matrix: readonly (readonly number[])[], x: tf.Tensor, axis: number): tf.Tensor {
  const factors: number[] = Array(x.rank + 1).fill(1);
  factors[axis] = matrix.length;
  factors[axis + 1] = matrix[0]!.length;
  return tf.sum(tf.mul(tf.tensor(matrix.flat(), factors), tf.expandDims(x, axis)), axis + 1);
}

/** An axis as overlapping windows, one every `outputs` values: [..., length, ...] → [..., tiles, P, ...]. */
function windowsOf(x: tf.Tensor, axis: number, { tiles, outputs, taps }: Tiling): tf.Tensor {
  const along = (value: number, others: number[]) => others.map((other, i) => (i === axis ? value : other));
  const zeros = x.shape.map(() => 0);
  const strides = x.shape.map((_, i) => (i === axis ? outputs : 1));
  const windows = Array.from({ length: outputs + taps - 1 }, (_, first) =>
    tf.stridedSlice(x, along(first, zeros), along(first + (tiles - 1) * outputs + 1, x.shape), strides),
  );
  return tf.stack(windows, axis + 1);
}

/** The adjoint of {@link windowsOf}, which adds where windows overlap: [..., tiles, P, ...] → [..., length, ...]. */
function foldOf(x: tf.Tensor, axis: number, { tiles, outputs, taps }: Tiling): tf.Tensor {
  const points = outputs + taps - 1;
  const blocks = Math.ceil(points / outputs);
  const lengths = Array.from({ length: blocks }, (_, block) => Math.min(outputs, points - block * outputs));
  const parts = tf.split(x, lengths, axis + 1).map((part, block) => {
    const paddings = x.shape.map((): [number, number] => [0, 0]);
    paddings[axis] = [block, blocks - 1 - block];
    paddings[axis + 1] = [0, outputs - lengths[block]!];
    return tf.pad(part, paddings);
  });
  const length = (tiles + blocks - 1) * outputs;
  return tf.reshape(tf.addN(parts), [...x.shape.slice(0, axis), length, ...x.shape.slice(axis + 2)]);
}

/**
 * Whether a convolution with stride 1 is faster by Winograd's algorithm: on a CPU, if enough is saved (measurements in
 * docs/performance.md). On a GPU, cuDNN chooses its algorithm.
 * @param x [B, H, W, C]; @param kernel [R, R, C, K].
 */
export function isWorthWinograd(x: Shape4D, kernel: Shape4D): boolean {
  const { target, isRecording } = currentBinding();
  if (target.memory === 'remote' && !isRecording) return false; // op by op, a server cannot run XLA's functions
  return savesByWinograd(x, kernel) && target.type === 'CPU' && hasXla();
}
