/**
 * Noise along the principal components of a data set's colours (Krizhevsky et al. 2012, §4.1). Like the released code,
 * this multiplies normal numbers by each component's standard deviation. The paper's formula has the eigenvalue, its
 * square, which would be a hundred times too much for grey levels.
 */
import { draw, PURPOSE, unit } from '../../random.js';

type Rgb = readonly [number, number, number];

/** The principal components of the pixels' colours, in ascending order. */
export interface Colours {
  /** Standard deviation along each component, in grey levels. */
  readonly deviations: readonly [number, number, number];
  /** Unit vectors of red, green and blue, one for each component. */
  readonly directions: readonly [Rgb, Rgb, Rgb];
}

/** `data.colourNoise` of the run's settings. */
export interface ColourNoise {
  readonly strength: number;
  readonly end: number | null;
  readonly divide: boolean;
  readonly colours: 'imagenet' | 'data';
}

/** Whether the noise needs the components of the training images. */
export function usesOwnColours({ strength, colours }: ColourNoise): boolean {
  return strength > 0 && colours === 'data';
}

/** Of ILSVRC-2012, from the released code's data set (cuda-convnet2, `make-data/input_meta`). */
export const IMAGENET_COLOURS: Colours = {
  deviations: [19.7208, 37.0939, 121.7801],
  directions: [
    [0.418, -0.817, 0.3973],
    [-0.7126, -0.0235, 0.7012],
    [-0.5635, -0.5762, -0.592],
  ],
};

/** What is added to every pixel of an image, and what the sum is divided by. */
export type Noise = { readonly added: Rgb; readonly divisor: number };

/** The noise of a training image in an epoch, counted from 0; undefined if there is none. */
export function drawNoise(
  colours: Colours,
  { strength, end, divide }: ColourNoise,
  seed: number,
  index: number,
  epoch: number,
): Noise | undefined {
  if (strength === 0 || (end !== null && epoch + 1 >= end)) return undefined;
  const words = draw(seed, PURPOSE.colourNoise, index, 0, epoch);
  const normals = [...normalPair(words[0], words[1]), ...normalPair(words[2], words[3])];
  const along = colours.deviations.map((deviation, k) => strength * deviation * normals[k]!);
  const channel = (c: 0 | 1 | 2) => colours.directions.reduce((sum, direction, k) => sum + along[k]! * direction[c], 0);
  return { added: [channel(0), channel(1), channel(2)], divisor: divide ? 1 + strength : 1 };
}

/** Two normal numbers from two random words (Box and Muller 1958). */
function normalPair(first: number, second: number): [number, number] {
  const radius = Math.sqrt(-2 * Math.log(1 - unit(first))); // 1 - unit is never 0
  const angle = 2 * Math.PI * unit(second);
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** The principal components of a symmetric covariance matrix of red, green and blue. */
export function principalComponents(covariance: readonly (readonly number[])[]): Colours {
  const { values, vectors } = eigen(covariance);
  const order = [0, 1, 2].sort((a, b) => values[a]! - values[b]!);
  return {
    deviations: order.map((k) => Math.sqrt(Math.max(values[k]!, 0))) as unknown as Colours['deviations'],
    directions: order.map((k) => withFixedSign(vectors.map((row) => row[k]!))) as unknown as Colours['directions'],
  };
}

/** Makes the largest entry positive: either sign is a component, and files should not vary. */
function withFixedSign(direction: readonly number[]): number[] {
  const largest = direction.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a));
  return largest < 0 ? direction.map((value) => -value) : [...direction];
}

/** Eigenvalues of a symmetric matrix, and its eigenvectors as columns, by Jacobi rotations. */
function eigen(matrix: readonly (readonly number[])[]): { values: number[]; vectors: number[][] } {
  const a = matrix.map((row) => [...row]);
  const n = a.length;
  const vectors = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0)));
  const size = a.flat().reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < 50; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) off += a[p]![q]! ** 2;
    if (off <= 1e-30 * size) break;
    for (let p = 0; p < n; p++) for (let q = p + 1; q < n; q++) if (a[p]![q] !== 0) rotate(a, vectors, p, q);
  }
  return { values: a.map((row, i) => row[i]!), vectors };
}

/** Rotates the plane of `p` and `q` so that a[p][q] becomes 0 (Golub and Van Loan, "Matrix Computations", §8.5). */
function rotate(a: number[][], vectors: number[][], p: number, q: number): void {
  const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
  const c = 1 / Math.hypot(t, 1);
  const s = t * c;
  const turn = (row: number[], i: number, j: number) => {
    [row[i], row[j]] = [c * row[i]! - s * row[j]!, s * row[i]! + c * row[j]!];
  };
  for (const row of a) turn(row, p, q);
  for (let k = 0; k < a.length; k++) {
    [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
  }
  for (const row of vectors) turn(row, p, q);
}
