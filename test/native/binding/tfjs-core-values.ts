/** Edge values of each data type, and shapes for them. */
import tf = require('@tensorflow/tfjs');

export const DTYPES = ['float32', 'int32', 'bool', 'complex64', 'string'] as const;
export type DType = (typeof DTYPES)[number];

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Zeros, halves, limits of int32 and float32, and values where exp and similar ops leave float32. */
const FLOATS = [
  ...[nan, inf, -inf, 0, -0, 0.5, -0.5, 1, -1, 1.5, -1.5, 2.5, -2.5, 3.7, -3.2, 0.1, -0.9],
  ...[2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 2, 3.4e38, -3.4e38, 1e-8, 89, -104, 0.99999994],
].map(Math.fround);
const INTS = [0, 1, -1, 2, -2, 3, -5, 7, 10, 46341, -46341, 12345678, -12345678, 2 ** 31 - 1, -(2 ** 31)];
const TAME = [0.5, -1.25, 2, 3.75, -0.75, 1, -2.5, 0.25, 1.125, -3];
/** Finite numbers, because libraries disagree about infinite complex ones. */
const COMPLEX = [[0, 0], [1, 0], [0, -1], [-0.5, 2], [2.5, -1.5], [3.7, 0.1], [-1, -1], [0, 2], [10, -5]] as const; // biome-ignore format: a row
/** TensorFlow stores short strings in the element itself, long ones elsewhere. */
const STRINGS = ['', 'a', 'b', 'aa', 'Ünïcode ☃', 'a string of more than twenty-two bytes', 'a\u0000b'];

/** `edges` are values where ops go wrong; with `tame` values, sums and products stay finite. */
export type Kind = 'edges' | 'tame';

/** One call of one op. */
export interface Case {
  /** The key of accepted differences. */
  op: string;
  /** Data types of the inputs. */
  dtypes: string;
  /** Shapes and parameters. */
  what: string;
  inputs(): tf.Tensor[];
  // biome-ignore lint/suspicious/noExplicitAny: an op is called with tensors of every type and rank, right or wrong
  run(...inputs: any[]): tf.Tensor | tf.Tensor[];
  /** For the gradient of a linear op: the op, and the dy of its output. */
  linear?: { run(input: tf.Tensor): tf.Tensor; dy(output: tf.Tensor): tf.Tensor };
}
export type Run = Case['run'];

export function edgesOf(dtype: DType, kind: Kind = 'edges'): readonly (number | string | readonly [number, number])[] {
  if (dtype === 'string') return STRINGS;
  if (dtype === 'bool') return [1, 0, 0, 1, 1];
  if (kind === 'tame') return dtype === 'int32' ? TAME.map(Math.trunc) : dtype === 'float32' ? TAME : pairs(TAME);
  if (dtype === 'int32') return INTS;
  return dtype === 'float32' ? FLOATS : COMPLEX;
}

function pairs(values: readonly number[]): [number, number][] {
  return values.map((value, i) => [value, values[(i * 4 + 3) % values.length]!]);
}

export function size(shape: readonly number[]): number {
  return shape.reduce((product, each) => product * each, 1);
}

/** A tensor of the edge values in order, from the `from`-th on. */
export function tensorOf(shape: number[], dtype: DType, from = 0, kind: Kind = 'edges'): tf.Tensor {
  const all = edgesOf(dtype, kind);
  const values = Array.from({ length: size(shape) }, (_, i) => all[(i + from) % all.length]!);
  if (dtype === 'complex64') {
    const parts = values as [number, number][];
    const part = (at: 0 | 1) =>
      tf.tensor(
        parts.map((each) => each[at]),
        shape,
      );
    return tf.complex(part(0), part(1));
  }
  return tf.tensor(values as number[], shape, dtype);
}

/** Two tensors of the same shape with all pairs of edge values of two types. */
export function everyPair(left: DType, right: DType): [tf.Tensor, tf.Tensor] {
  const [n, m] = [edgesOf(left).length, edgesOf(right).length];
  const across = tensorOf([n, m], right, 0);
  const row = tensorOf([n, 1], left);
  // Not every backend can tile strings.
  if (left === 'string') return [tensorOf([n, m], left), across];
  return [tf.tile(row, [1, m]), across];
}
