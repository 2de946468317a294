/**
 * Winograd's algorithm, F(m, r) (S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2015): `outputs` neighbouring results of a filter with `taps` taps out of
 * `outputs + taps - 1` products, in the place of `outputs · taps`.
 */

/** result = output · ((kernel · taps) × (input · values)), × value by value. */
export interface WinogradMatrices {
  /** [outputs, points] */
  output: number[][];
  /** [points, taps] */
  kernel: number[][];
  /** [points, points] */
  input: number[][];
}

/**
 * Where the polynomials of input and kernel are evaluated, beside at infinity, by the number of points. These lost
 * least in float32 of all sets out of 0, ±1 and eighteen fractions up to 4 in size that were tried.
 */
const POINTS: Readonly<Record<number, readonly number[]>> = {
  4: [0, 1, -1],
  6: [0, 1, -1, 1 / 2, -2],
  7: [0, 1, -1, -2, -1 / 3, 3 / 2],
  8: [0, 1, -1, 1 / 2, -1 / 2, 2, -2],
};

/** The three matrices. @throws RangeError when there are no points for so many products. */
export function winogradMatrices(outputs: number, taps: number): WinogradMatrices {
  const count = outputs + taps - 1;
  const finite = POINTS[count];
  if (!finite) throw new RangeError(`there is no minimal filter of ${count} products`);
  // At infinity a polynomial has its highest coefficient.
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

/** By Gauss and Jordan, with pivots. */
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
