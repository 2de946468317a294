/**
 * The matrices of Winograd's minimal filtering algorithm F(m, r) (S. Winograd, "Arithmetic Complexity of Computations", 1980;
 * A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, arXiv:1509.09308).
 *
 * F(m, r) computes m neighbouring outputs of a filter g with r taps from m + r - 1 inputs d with m + r - 1 multiplications
 * instead of m · r: y = Aᵀ [(G g) ⊙ (Bᵀ d)], ⊙ element by element. It multiplies polynomials by their values at m + r - 1
 * points (Toom and Cook), one of them infinity.
 */

export interface WinogradMatrices {
  /** Aᵀ [m, m + r - 1] */
  output: number[][];
  /** G [m + r - 1, r] */
  kernel: number[][];
  /** Bᵀ [m + r - 1, m + r - 1] */
  input: number[][];
}

/**
 * The finite points, by the number of points. Among all sets of 0, ±1 and eighteen fractions up to 4, these had the smallest
 * errors in float32.
 */
const POINTS: Readonly<Record<number, readonly number[]>> = {
  4: [0, 1, -1],
  6: [0, 1, -1, 1 / 2, -2],
  7: [0, 1, -1, -2, -1 / 3, 3 / 2],
  8: [0, 1, -1, 1 / 2, -1 / 2, 2, -2],
};

/** @param outputs m; @param taps r. @throws RangeError if {@link POINTS} has no set of this size. */
export function winogradMatrices(outputs: number, taps: number): WinogradMatrices {
  const count = outputs + taps - 1;
  const finite = POINTS[count];
  if (!finite) throw new RangeError(`there is no minimal filter of ${count} products`);
  // The value at infinity is the highest coefficient.
  const powers = (length: number) => [
    ...finite.map((point) => Array.from({ length }, (_, power) => point ** power)),
    Array.from({ length }, (_, power) => (power === length - 1 ? 1 : 0)),
  ];
  return {
    output: transpose(powers(outputs)),
    kernel: powers(taps),
    input: transpose(inverse(powers(count))),
  };
}

export function transpose(matrix: readonly (readonly number[])[]): number[][] {
  return matrix[0]!.map((_, column) => matrix.map((row) => row[column]!));
}

/** By Gauss-Jordan elimination with pivoting. */
function inverse(matrix: readonly (readonly number[])[]): number[][] {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let column = 0; column < size; column++) {
    const below = rows.slice(column);
    const largest = below.reduce((best, row) => (Math.abs(row[column]!) > Math.abs(best[column]!) ? row : best));
    const at = rows.indexOf(largest);
    [rows[column], rows[at]] = [largest, rows[column]!];
    const pivot = largest.map((value) => value / largest[column]!);
    for (const [i, row] of rows.entries()) {
      rows[i] = i === column ? pivot : row.map((value, j) => value - row[column]! * pivot[j]!);
    }
  }
  return rows.map((row) => row.slice(size));
}
