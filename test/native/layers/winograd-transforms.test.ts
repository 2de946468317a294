import assert from 'node:assert/strict';
import test from 'node:test';
import { transpose, winogradMatrices } from '../../../src/native/layers/winograd-transforms.js';

const times = (matrix: readonly (readonly number[])[], x: readonly number[]) =>
  matrix.map((row) => row.reduce((sum, factor, i) => sum + factor * x[i]!, 0));

for (const [outputs, taps] of [
  [2, 3],
  [4, 3],
  [5, 3],
  [2, 5],
  [3, 5],
  [4, 5],
] as const) {
  test(`winogradMatrices() of ${outputs} outputs and ${taps} taps has the filter's sums`, () => {
    const { input, kernel, output } = winogradMatrices(outputs, taps);
    const points = outputs + taps - 1;
    assert.deepEqual(
      [input, kernel, output].map((each) => [each.length, each[0]!.length]),
      [
        [points, points],
        [points, taps],
        [outputs, points],
      ],
    );
    const values = Array.from({ length: points }, (_, i) => Math.sin(i + 1));
    const filter = Array.from({ length: taps }, (_, i) => Math.cos(3 * i));
    const [left, right] = [times(kernel, filter), times(input, values)];
    const results = times(
      output,
      left.map((each, i) => each * right[i]!),
    );
    for (const [i, result] of results.entries()) {
      const sum = filter.reduce((total, tap, j) => total + tap * values[i + j]!, 0);
      assert.ok(Math.abs(result - sum) < 1e-12, `result ${i}: ${result}, expected ${sum}`);
    }
  });
}

test('winogradMatrices() refuses a number of products that it has no points for', () => {
  assert.throws(() => winogradMatrices(9, 9), RangeError);
});

test('transpose() exchanges rows and columns', () => {
  assert.deepEqual(
    transpose([
      [1, 2],
      [3, 4],
      [5, 6],
    ]),
    [
      [1, 3, 5],
      [2, 4, 6],
    ],
  );
});
